"""Mean and median that are NaN where there is nothing to average."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def mean(values: NDArray[Any]) -> float:
    """Return the mean of values [V]; NaN without any."""
    return float(values.mean()) if values.size else float("nan")


def median(values: NDArray[Any]) -> float:
    """Return the median of values [V]; NaN without any."""
    return float(np.median(values)) if values.size else float("nan")
