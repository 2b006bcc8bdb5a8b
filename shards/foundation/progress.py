"""Progress of long work: a bar with rate and remaining time on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tqdm import tqdm


@dataclass(frozen=True)
class RateParameters:
    """Time over which a `RecentRate` is measured. All are chosen."""

    window: float = 60.0  # s; tasks of several processes often end together, so not a few seconds
    resolution: float = 0.5  # s between the counts that are kept, which bounds their number
    # The start of the work (imports, compilation) counts until so many counts were kept after it
    # and the first of them is so old: the first counts of several processes arrive together.
    startup_counts: int = 8
    startup_seconds: float = 5.0


@dataclass(frozen=True)
class ProgressParameters:
    """How often progress is shown, and its rate."""

    line_interval: float = 5.0  # s between lines; chosen: a log of an hour has 720 lines
    bar_interval: float = 0.2  # s between changes of the bar; chosen: no flicker
    rate: RateParameters = RateParameters()


class RecentRate:
    """Units per second of late: over the last minute, and soon without the start of the work."""

    def __init__(self, now: float, parameters: RateParameters = RateParameters()) -> None:
        """Start at the time `now`, in s."""
        self._parameters = parameters
        self._counts = deque([(now, 0)])  # (time, units done), the oldest first
        self._includes_start = True

    def add(self, now: float, done: int) -> None:
        """Register that `done` units are done at the time `now`."""
        counts = self._counts
        if len(counts) > 1 and now - counts[-2][0] < self._parameters.resolution:
            counts.pop()
        counts.append((now, done))
        while self._is_oldest_past(now):
            counts.popleft()
            self._includes_start = False

    @property
    def value(self) -> float:
        """Units per second; 0 before anything is done."""
        (start, done_then), (end, done) = self._counts[0], self._counts[-1]
        return (done - done_then) / (end - start) if end > start else 0.0

    def _is_oldest_past(self, now: float) -> bool:
        """Whether the rate is to be measured from the second count on."""
        parameters = self._parameters
        if len(self._counts) < 3:
            return False
        age = now - self._counts[1][0]
        if self._includes_start and len(self._counts) > parameters.startup_counts:
            return age >= parameters.startup_seconds
        return age >= parameters.window


class Progress:
    """Count units of work and show the count on standard error.

    Use it as a context manager:

        with Progress("shards", len(tasks), "pairs") as progress:
            progress.advance(1000, loss=0.3)
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str,
        parameters: ProgressParameters = ProgressParameters(),
    ) -> None:
        """Start the clock.

        Args:
            label: name of the work.
            total: number of units of the whole work.
            unit: name of the units, in the plural.
            parameters: intervals of the display, and its rate.
        """
        self.label, self.total, self.unit = label, total, unit
        self.parameters = parameters
        self.done = 0
        self._values: dict[str, object] = {}
        self._start = self._last_line = time.monotonic()
        self._rate = RecentRate(self._start, parameters.rate)
        self._closed = False
        self._changed = bool(total)  # since the last line
        self._bar = self._create_bar() if total and sys.stderr.isatty() else None

    def advance(self, n: int = 1, **values: object) -> None:
        """Count `n` more units; `values`, such as loss=0.31, are shown beside the rate."""
        self.done += n
        self._changed = True
        self._values.update(values)
        now = time.monotonic()
        self._rate.add(now, self.done)
        if self._bar is not None:
            self._bar.recent_rate = self._rate.value if self.done < self.total else None
            if values:
                self._bar.set_postfix(self._values, refresh=False)
            self._bar.update(n)
        elif now - self._last_line >= self.parameters.line_interval:
            self._write_line()

    def close(self) -> None:
        """Show the last count, unless it is shown or nothing was to do; later calls do nothing."""
        if self._closed:
            return
        self._closed = True
        if self._bar is not None:
            self._bar.close()
        elif self._changed:
            self._write_line()

    def __enter__(self) -> Progress:
        """Return the progress itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, after an exception too."""
        self.close()

    def _create_bar(self) -> _Bar:
        return _Bar(
            total=self.total,
            desc=self.label,
            unit=f" {self.unit}",
            file=sys.stderr,
            mininterval=self.parameters.bar_interval,
        )

    def _write_line(self) -> None:
        """Write one line: count, rate, elapsed time, remaining time, values.

        The rate is the recent one; that of the whole work once it is done.
        """
        self._last_line = now = time.monotonic()
        self._changed = False
        elapsed, remaining = now - self._start, ""
        rate = self._rate.value
        if self.done >= self.total:
            rate = self.done / elapsed if elapsed > 0 else 0.0
        elif rate:
            remaining = f", {_format_time((self.total - self.done) / rate)} left"
        values = "".join(f", {name} {_format_value(v)}" for name, v in self._values.items())
        sys.stderr.write(
            f"{self.label}: {self.done}/{self.total} {self.unit},"
            f" {_format_rate(rate)} {self.unit}/s,"
            f" {_format_time(elapsed)}{remaining}{values}\n"
        )
        sys.stderr.flush()


class _Bar(tqdm):
    """A bar that shows a rate it is given, and the time left by it; the mean rate for None."""

    recent_rate: float | None = None

    @property
    def format_dict(self) -> Mapping[str, Any]:
        """Values of the bar, as tqdm names them."""
        return {**super().format_dict, "rate": self.recent_rate}


def _format_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


def _format_rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 1000 else f"{rate:.3g}"


def _format_value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
