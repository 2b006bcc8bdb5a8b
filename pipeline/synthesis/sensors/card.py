"""Print on a fingerprint card around one finger: lines of its box and words, at 1000 ppi."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PrintMask = NDArray[np.uint8]

WORDS = ("R. THUMB", "1. RIGHT INDEX", "L. MIDDLE", "RING", "10. L. LITTLE", "PLAIN", "R", "7")
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,  # handwriting
)


@dataclass(frozen=True)
class CardParameters:
    """Numbers of the print on a card; chosen to resemble the cards of NIST SD300."""

    count_max: int = 2  # lines, and words, of one image: 0 to this, each as likely
    line_inside_range: tuple[float, float] = (8, 60)  # px from the edge of the image
    line_tilt_max: int = 8  # px over the length of the image
    line_weight_range: tuple[int, int] = (2, 6)  # px, both included
    word_scale_range: tuple[float, float] = (0.8, 2.2)  # OpenCV font scale: capitals of 18 to 48 px
    word_weight_range: tuple[int, int] = (2, 4)  # px, both included
    word_inside_min: float = 6  # px from the edge of the image
    word_inside_mean: float = 40  # px, mean of an exponential distribution added to the minimum
    word_overhang: float = 0.3  # share of a word's width outside the image at the extremes


DEFAULT = CardParameters()


@dataclass(frozen=True)
class Line:
    """A line of the box along one edge of the image."""

    upright: bool  # along the left or right edge; otherwise the upper or lower edge
    turned: bool  # along the right or lower edge
    inside: int  # px from that edge to the start of the line
    tilt: int  # px by which the end of the line is farther inside
    weight: int  # px, thickness

    def print_on(self, mask: PrintMask) -> None:
        """Set the pixels of the line in `mask` [H, W] to 1."""
        height, width = mask.shape
        start, end = (self.inside, 0), (self.inside + self.tilt, height if self.upright else width)
        if not self.upright:
            start, end = start[::-1], end[::-1]
        line = np.zeros_like(mask)
        cv2.line(line, start, end, 1, self.weight)
        mask |= line[::-1, ::-1] if self.turned else line


@dataclass(frozen=True)
class Word:
    """A word near the upper or the lower edge of the image."""

    text: str  # one of WORDS
    font: int  # one of FONTS, OpenCV's number
    scale: float  # OpenCV font scale
    weight: int  # px, thickness
    upper: bool  # near the upper edge; otherwise the lower edge
    inside: float  # px from that edge
    along: float  # horizontal position: 0 left end, 1 right end

    def print_on(self, mask: PrintMask, parameters: CardParameters = DEFAULT) -> None:
        """Set the pixels of the word in `mask` [H, W] to 1."""
        (width, height), _ = cv2.getTextSize(self.text, self.font, self.scale, self.weight)
        y = self.inside + height if self.upper else mask.shape[0] - self.inside
        hidden = parameters.word_overhang
        x = self.along * (mask.shape[1] - (1 - 2 * hidden) * width) - hidden * width
        cv2.putText(mask, self.text, (int(x), int(y)), self.font, self.scale, 1, self.weight)


@dataclass(frozen=True)
class Card:
    """Everything that is printed around one finger."""

    lines: tuple[Line, ...]
    words: tuple[Word, ...]

    def print_mask(self, size: tuple[int, ...]) -> NDArray[np.bool_]:
        """Pixels [H, W] with print, in an image of `size` (height, width) px at 1000 ppi."""
        mask = np.zeros(size, np.uint8)
        marks: tuple[Line | Word, ...] = (*self.lines, *self.words)
        for mark in marks:
            mark.print_on(mask)
        return mask > 0


def sample_card(rng: np.random.Generator, parameters: CardParameters = DEFAULT) -> Card:
    """Sample the lines and words around one finger."""
    end = parameters.count_max + 1
    lines = tuple(_sample_line(rng, parameters) for _ in range(int(rng.integers(end))))
    words = tuple(_sample_word(rng, parameters) for _ in range(int(rng.integers(end))))
    return Card(lines, words)


def _sample_line(rng: np.random.Generator, parameters: CardParameters) -> Line:
    tilt_max = parameters.line_tilt_max
    return Line(
        upright=rng.random() < 0.5,
        turned=rng.random() < 0.5,
        inside=int(rng.uniform(*parameters.line_inside_range)),
        tilt=int(rng.integers(-tilt_max, tilt_max, endpoint=True)),
        weight=int(rng.integers(*parameters.line_weight_range, endpoint=True)),
    )


def _sample_word(rng: np.random.Generator, parameters: CardParameters) -> Word:
    """Sample a word; one in twenty lies 120 px or more inside the image."""
    return Word(
        text=str(rng.choice(WORDS)),
        font=FONTS[int(rng.integers(len(FONTS)))],
        scale=rng.uniform(*parameters.word_scale_range),
        weight=int(rng.integers(*parameters.word_weight_range, endpoint=True)),
        upper=rng.random() < 0.5,
        inside=parameters.word_inside_min + rng.exponential(parameters.word_inside_mean),
        along=rng.random(),
    )
