"""What is printed on a card about a finger: up to two lines of its box, and up to two words.

As a scanner of 1000 ppi sees it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Drawing = NDArray[np.uint8]

WORDS = ("R. THUMB", "1. RIGHT INDEX", "L. MIDDLE", "RING", "10. L. LITTLE", "PLAIN", "R", "7")
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,  # a clerk's hand
)


@dataclass(frozen=True)
class Line:
    """A line of the box along an edge of the image."""

    upright: bool  # along the left edge or the right one, else the upper or the lower one
    turned: bool  # along the right or the lower one
    inside: int  # px from that edge to where the line starts, 8 … 59
    tilt: int  # px by which it ends farther inside, -8 … 8
    weight: int  # px, 2 … 6

    def draw(self, drawing: Drawing) -> None:
        """Add the line to `drawing` [H, W]."""
        height, width = drawing.shape
        start, end = (self.inside, 0), (self.inside + self.tilt, height if self.upright else width)
        if not self.upright:
            start, end = start[::-1], end[::-1]
        own = np.zeros_like(drawing)
        cv2.line(own, start, end, 1, self.weight)
        drawing |= own[::-1, ::-1] if self.turned else own


@dataclass(frozen=True)
class Word:
    """A word near the upper or the lower edge of the image."""

    text: str  # of WORDS
    font: int  # of FONTS, by OpenCV's number
    scale: float  # 0.8 … 2.2: capitals of 18 to 48 px
    weight: int  # px, 2 to 4
    upper: bool  # near the upper edge
    inside: float  # px from that edge
    along: float  # 0 … 1 from the left to the right; at the ends 30 % of it is outside

    def draw(self, drawing: Drawing) -> None:
        """Add the word to `drawing` [H, W]."""
        (width, height), _ = cv2.getTextSize(self.text, self.font, self.scale, self.weight)
        y = self.inside + height if self.upper else drawing.shape[0] - self.inside
        x = self.along * (drawing.shape[1] - 0.4 * width) - 0.3 * width
        at = (int(x), int(y))
        cv2.putText(drawing, self.text, at, self.font, self.scale, 1, self.weight)


@dataclass(frozen=True)
class Card:
    """All that is printed about one finger."""

    lines: tuple[Line, ...]  # two at most
    words: tuple[Word, ...]  # two at most

    def printed(self, size: tuple[int, ...]) -> NDArray[np.bool_]:
        """Where print is on an image of `size` (height, width) px; [H, W]."""
        drawing = np.zeros(size, np.uint8)
        marks: tuple[Line | Word, ...] = (*self.lines, *self.words)
        for mark in marks:
            mark.draw(drawing)
        return drawing > 0


def sample_card(rng: np.random.Generator) -> Card:
    """Of a random form."""
    lines = tuple(_sample_line(rng) for _ in range(int(rng.integers(3))))
    words = tuple(_sample_word(rng) for _ in range(int(rng.integers(3))))
    return Card(lines, words)


def _sample_line(rng: np.random.Generator) -> Line:
    return Line(
        upright=rng.random() < 0.5,
        turned=rng.random() < 0.5,
        inside=int(rng.uniform(8, 60)),
        tilt=int(rng.integers(-8, 9)),
        weight=int(rng.integers(2, 7)),
    )


def _sample_word(rng: np.random.Generator) -> Word:
    """One in twenty of them lies 120 px or more inside the image."""
    return Word(
        text=str(rng.choice(WORDS)),
        font=FONTS[int(rng.integers(len(FONTS)))],
        scale=rng.uniform(0.8, 2.2),
        weight=int(rng.integers(2, 5)),
        upper=rng.random() < 0.5,
        inside=6 + rng.exponential(40),
        along=rng.random(),
    )
