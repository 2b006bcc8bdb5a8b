"""Stop signals of a run."""

import signal

import pytest

from train import stop_signals


def test_first_signal_and_its_repetition_are_only_recorded():
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals.stop_signals() as stop:
        assert stop() is None
        signal.raise_signal(signal.SIGTERM)
        assert stop() == "SIGTERM"
        signal.raise_signal(signal.SIGTERM)  # make and a batch system pass on the same one
        assert stop() == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) is before


def test_later_signal_ends_at_once(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with stop_signals.stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        now = stop_signals.SignalParameters().repetition_seconds + 0.1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop() == "SIGINT"
