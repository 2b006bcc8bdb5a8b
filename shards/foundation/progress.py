"""Progress of long work: a bar with rate and ETA on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

LINE_EVERY = 5.0  # seconds between lines where standard error is no terminal


class Progress:
    """Counts `total` units of work on standard error; use as a context manager.

    with Progress("shards", len(tasks), "pairs") as progress:
        progress.advance(1000, loss=0.3)
    """

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self._figures: dict[str, object] = {}
        self._started = self._said = time.monotonic()
        self._bar = (
            tqdm(total=total, desc=label, unit=f" {unit}", file=sys.stderr, mininterval=0.2)
            if sys.stderr.isatty()
            else None
        )

    def advance(self, n: int = 1, **figures: object) -> None:
        """`n` more units are done; `figures` (loss=0.31) are shown beside the rate."""
        self.done += n
        self._figures.update(figures)
        if self._bar is not None:
            if figures:
                self._bar.set_postfix(self._figures, refresh=False)
            self._bar.update(n)
        elif time.monotonic() - self._said >= LINE_EVERY:
            self._say()

    def close(self) -> None:
        """Say the last figures; once only."""
        if self._bar is not None:
            self._bar.close()
        elif self._said >= 0:
            self._say()
            self._said = -1.0

    def __enter__(self) -> Progress:
        """The progress itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()

    def _say(self) -> None:
        """One plain line: done of total, rate, time passed, time left, figures."""
        self._said = now = time.monotonic()
        passed = now - self._started
        rate = self.done / passed if passed > 0 else 0.0
        left = (
            f", {_clock((self.total - self.done) / rate)} left"
            if 0 < self.done < self.total and rate
            else ""
        )
        figures = "".join(f", {name} {_short(value)}" for name, value in self._figures.items())
        sys.stderr.write(
            f"{self.label}: {self.done}/{self.total} {self.unit}, {rate:.3g} {self.unit}/s,"
            f" {_clock(passed)}{left}{figures}\n"
        )
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
