"""Progress of long work: a bar with rate and remaining time on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from types import TracebackType

from tqdm import tqdm


@dataclass(frozen=True)
class ProgressParameters:
    """How often progress is shown."""

    line_interval: float = 5.0  # s between lines; chosen: a log of an hour has 720 lines
    bar_interval: float = 0.2  # s between changes of the bar; chosen: no flicker


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
            parameters: intervals of the display.
        """
        self.label, self.total, self.unit = label, total, unit
        self.parameters = parameters
        self.done = 0
        self._values: dict[str, object] = {}
        self._start = self._last_line = time.monotonic()
        self._closed = False
        self._changed = bool(total)  # since the last line
        self._bar = self._create_bar() if total and sys.stderr.isatty() else None

    def advance(self, n: int = 1, **values: object) -> None:
        """Count `n` more units; `values`, such as loss=0.31, are shown beside the rate."""
        self.done += n
        self._changed = True
        self._values.update(values)
        if self._bar is not None:
            if values:
                self._bar.set_postfix(self._values, refresh=False)
            self._bar.update(n)
        elif time.monotonic() - self._last_line >= self.parameters.line_interval:
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

    def _create_bar(self) -> tqdm:
        return tqdm(
            total=self.total,
            desc=self.label,
            unit=f" {self.unit}",
            file=sys.stderr,
            mininterval=self.parameters.bar_interval,
        )

    def _write_line(self) -> None:
        """Write one line: count, rate, elapsed time, remaining time, values."""
        self._last_line = now = time.monotonic()
        self._changed = False
        elapsed = now - self._start
        rate = self.done / elapsed if elapsed > 0 else 0.0
        remaining = ""
        if 0 < self.done < self.total and rate:
            remaining = f", {_format_time((self.total - self.done) / rate)} left"
        values = "".join(f", {name} {_format_value(v)}" for name, v in self._values.items())
        sys.stderr.write(
            f"{self.label}: {self.done}/{self.total} {self.unit},"
            f" {_format_rate(rate)} {self.unit}/s,"
            f" {_format_time(elapsed)}{remaining}{values}\n"
        )
        sys.stderr.flush()


def _format_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


def _format_rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 1000 else f"{rate:.3g}"


def _format_value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
