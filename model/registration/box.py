"""Rectangles of pixels, to which work is limited where nothing lies beyond them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Box(NamedTuple):
    """A rectangle of pixels; `bottom` and `right` are the first row and column beyond it."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def whole(cls, field: NDArray) -> Box:
        """Return the box of all pixels of a field [H, W]."""
        return cls(0, field.shape[0], 0, field.shape[1])

    @classmethod
    def around(cls, field: NDArray) -> Box:
        """Return the smallest box that holds all nonzero pixels of a field [H, W]; all if none."""
        rows, columns = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
        if not len(rows):
            return cls.whole(field)
        return cls(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Index of its pixels in an array [H, W]."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grow(self, distance: int) -> Box:
        """Return the box that is wider by `distance` on each side."""
        top, bottom, left, right = self
        return Box(top - distance, bottom + distance, left - distance, right + distance)

    def within(self, other: Box) -> Box:
        """Return the part inside another box."""
        return Box(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )

    def moved(self, down: int, right: int) -> Box:
        """Return the box moved by so many pixels."""
        return Box(self.top + down, self.bottom + down, self.left + right, self.right + right)
