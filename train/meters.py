"""Running means of a run's metrics, and its time: training, waiting for data, everything else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any


class Meter:
    """Running means of scalars; the state is exact in JSON, so that a resumed run continues it."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, values: dict[str, float]) -> None:
        """Add the values of one step."""
        self._count += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Mean of every scalar; empty before the first step."""
        return {name: total / self._count for name, total in self._sums.items()}

    def state(self) -> dict[str, Any]:
        """Sums and count as JSON values."""
        return {"sums": dict(self._sums), "count": self._count}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        self._sums, self._count = dict(state["sums"]), state["count"]


class Clock:
    """Time of training, in seconds, and the part of it that was spent waiting for data.

    The first step (compilation) and what runs inside `paused` (validation, saving) do not count.

    Attributes:
        started: Whether the first step is done.
        steps: Steps since `restart`.
        waited: Seconds of waiting for data since `restart`.
    """

    def __init__(self) -> None:
        self.started = False
        self.restart()

    def restart(self) -> None:
        """Set all counts to zero."""
        self.steps, self.waited = 0, 0.0
        self._start, self._paused = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """Seconds that count since `restart`."""
        return time.monotonic() - self._start - self._paused

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside the context as waiting for data, too."""
        start = time.monotonic()
        yield
        self.waited += time.monotonic() - start

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time inside the context."""
        start = time.monotonic()
        yield
        self._paused += time.monotonic() - start
