"""Stop signals: SIGTERM and SIGINT end a run after it was saved."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

StopCheck = Callable[[], str | None]  # name of the signal that asked for the end, or None


@dataclass(frozen=True)
class SignalParameters:
    """How repeated signals are understood."""

    # s after the first signal in which a second one counts as its repetition. A batch system
    # signals make and its children, and make passes the signal on. Chosen: well above the
    # milliseconds between both, well below the time in which a person presses Ctrl-C again.
    repetition_seconds: float = 2.0


@contextlib.contextmanager
def stop_signals(parameters: SignalParameters = SignalParameters()) -> Iterator[StopCheck]:
    """Catch SIGTERM and SIGINT while the context lasts.

    The first signal only sets the result of the yielded function. A later one has its usual effect,
    unless it is a repetition of the first.

    Args:
        parameters: Time in which a signal is a repetition.

    Yields:
        A function that returns the name of the first signal, or None.
    """
    received: list[tuple[str, float]] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if not received:
            received.append((signal.Signals(number).name, time.monotonic()))
        elif time.monotonic() - received[0][1] > parameters.repetition_seconds:
            restore()
            signal.raise_signal(number)

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: received[0][0] if received else None
    finally:
        restore()
