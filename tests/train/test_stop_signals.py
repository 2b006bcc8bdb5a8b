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


def test_sigterm_never_ends_at_once(monkeypatch):
    """However late it is repeated: a scheduler may send it several times."""
    times = iter((0.0, 1.0, 10.0, 1e4))
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    with stop_signals.stop_signals() as stop:
        for _ in range(4):
            signal.raise_signal(signal.SIGTERM)
            assert stop() == "SIGTERM"


def test_signals_after_a_stop_are_ignored_where_the_process_ends():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with stop_signals.stop_signals(ends_process=True):
        pass
    assert {number: signal.getsignal(number) for number in before} == before
    try:
        with stop_signals.stop_signals(ends_process=True):
            signal.raise_signal(signal.SIGTERM)
        for number in before:
            signal.raise_signal(number)
    finally:
        ignored = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert set(ignored.values()) == {signal.SIG_IGN}


def test_later_signal_ends_at_once(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with stop_signals.stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        now = stop_signals.SignalParameters().repetition_seconds + 0.1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop() == "SIGINT"
