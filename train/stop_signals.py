"""Stop signals: SIGTERM and SIGINT end a run after it was saved.

A scheduler may send SIGTERM several times, so SIGTERM never ends a run at once; a second Ctrl-C of
a person does.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

StopCheck = Callable[[], str | None]  # name of the signal that asked for the end, or None


class StopRequested(Exception):
    """A signal asks for the end of the run; its name is the message."""


@dataclass(frozen=True)
class SignalParameters:
    """How repeated signals are understood."""

    # s after the first signal in which a SIGINT counts as its repetition. The terminal signals make
    # and its children, and make passes the signal on. Chosen: well above the milliseconds between
    # both, well below the time in which a person presses Ctrl-C again.
    repetition_seconds: float = 2.0


@contextlib.contextmanager
def stop_signals(
    ends_process: bool = False, parameters: SignalParameters = SignalParameters()
) -> Iterator[StopCheck]:
    """Catch SIGTERM and SIGINT while the context lasts.

    A signal only sets the result of the yielded function, but for a SIGINT that is no repetition of
    the first signal: it has its usual effect.

    Args:
        ends_process: Whether the process ends after the context: once a signal arrived, further
            ones are then ignored, so that they do not change the exit status.
        parameters: Time in which a SIGINT is a repetition.

    Yields:
        A function that returns the name of the first signal, or None.
    """
    received: list[tuple[str, float]] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if not received:
            received.append((signal.Signals(number).name, time.monotonic()))
        elif number == signal.SIGINT and not is_repetition():
            restore()
            signal.raise_signal(number)

    def is_repetition() -> bool:
        return time.monotonic() - received[0][1] <= parameters.repetition_seconds

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: received[0][0] if received else None
    finally:
        if ends_process and received:
            for number in previous:
                signal.signal(number, signal.SIG_IGN)
        else:
            restore()


def check_stop(stop: StopCheck) -> None:
    """Raise StopRequested where a signal arrived."""
    if name := stop():
        raise StopRequested(name)
