"""Signals that ask, and signals that end."""

import signal

import pytest

from train import process


def test_the_first_signal_only_asks():
    before = signal.getsignal(signal.SIGTERM)
    with process.stop_signals() as stop:
        assert stop() is None
        signal.raise_signal(signal.SIGTERM)
        assert stop() == "SIGTERM"
        signal.raise_signal(signal.SIGTERM)  # make and a batch system pass on the same one
        assert stop() == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_one_later_ends_at_once(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with process.stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        now = process.ECHO + 0.1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop() == "SIGINT"
