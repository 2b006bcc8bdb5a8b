"""Running means of a run's figures, and where its time goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any


class Meter:
    """Means of scalars over steps; its state is exact in JSON, so that a resumed run goes on."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, values: dict[str, float]) -> None:
        """Take in one step."""
        self._count += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Mean of every scalar; empty before the first step."""
        return {name: total / self._count for name, total in self._sums.items()}

    def state(self) -> dict[str, Any]:
        """JSON values."""
        return {"sums": dict(self._sums), "count": self._count}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self._sums, self._count = dict(state["sums"]), state["count"]


class Clock:
    """Time spent training and, of it, waiting for data; the first step (compiling) and what stands
    apart (validating, saving) are not counted."""

    def __init__(self) -> None:
        self.started = False  # whether the first step is done
        self.restart()

    def restart(self) -> None:
        """Count from here."""
        self.steps, self.waited = 0, 0.0
        self._began, self._apart = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """Counted so far."""
        return time.monotonic() - self._began - self._apart

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Time that is counted as waiting too."""
        began = time.monotonic()
        yield
        self.waited += time.monotonic() - began

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Time that is not counted."""
        began = time.monotonic()
        yield
        self._apart += time.monotonic() - began
