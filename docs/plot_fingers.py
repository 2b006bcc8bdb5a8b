"""Plot the pictures of synthetic fingers in docs/DATA.md: python docs/plot_fingers.py

masters.png: a finger of each pattern class. impressions.png: one finger by each sensor and in each
manner. dense_map.png: the exact map between two impressions of a finger.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from pipeline.imaging.preprocess import to_working_resolution
from pipeline.imaging.warp import pixel_grid
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.generate import synthesize_master
from pipeline.synthesis.manner import HARD, PLAIN, TWISTED, Manner
from pipeline.synthesis.master import Master
from pipeline.synthesis.sensor import (
    CAPACITIVE,
    INK,
    OPTICAL,
    THERMAL,
    VIGNETTED,
    Style,
    synthesize_image,
)
from pipeline.synthesis.singularities import CLASSES
from pipeline.synthesis.touch import sample_touch

Image = NDArray[np.uint8]

ADDRESS = (2, "synthetic/readme")


@dataclass(frozen=True)
class PictureParameters:
    """Look of the pictures; all chosen."""

    tile: tuple[int, int] = (210, 170)  # (height, width) px
    head: int = 16  # px above a tile, for its name
    margin: int = 6  # px right of and below a tile
    grey_levels: int = 18  # in a file, so that it stays small
    grid_step: int = 24  # px from line to line of the map
    row_colour: tuple[int, int, int] = (60, 60, 220)  # blue, green, red
    column_colour: tuple[int, int, int] = (200, 110, 20)
    pressure_min: float = -1  # half ridge heights: less is not part of the impression


LOOK = PictureParameters()


def main() -> None:
    """Write the three pictures beside this file."""
    masters = master_of_each_class()
    tiles = [tile(127 - 120 * masters[label].ridges, label) for label in CLASSES]
    write("masters.png", np.concatenate(tiles, 1))
    write("impressions.png", plot_impressions(masters["left-loop"]))
    write("dense_map.png", plot_dense_map(masters["whorl"]))


def master_of_each_class() -> dict[str, Master]:
    """Synthesize fingers until there is one of each pattern class."""
    masters: dict[str, Master] = {}
    number = 0
    while len(masters) < len(CLASSES):
        master = synthesize_master(*ADDRESS, number)
        masters.setdefault(master.flow.label, master)
        number += 1
    return masters


def plot_impressions(master: Master) -> Image:
    """Plot a row of plain impressions and a row of hard ones, by all sensors."""
    plain = [(style, PLAIN) for style in (OPTICAL, CAPACITIVE, VIGNETTED, THERMAL, INK)]
    hard = list(zip((OPTICAL, THERMAL, CAPACITIVE, INK, VIGNETTED), HARD, strict=True))
    rows = []
    for row in (plain, hard):
        tiles = [
            plot_impression(master, style, manner, column + 9)
            for column, (style, manner) in enumerate(row)
        ]
        rows.append(np.concatenate(tiles, 1))
    return np.concatenate(rows)


def plot_impression(master: Master, style: Style, manner: Manner, seed: int) -> Image:
    """Plot an impression as a tile."""
    rng = np.random.default_rng([5, seed])
    touch = sample_touch(rng, style.placement, manner)
    image = synthesize_image(style, *compute_contact(master, touch, rng), rng)
    name = style.name if manner is PLAIN else f"{style.name}, {manner.name}"
    return tile(image, name)


def plot_dense_map(master: Master) -> Image:
    """Plot the lines of a grid on one impression, and where the map takes them on another."""
    rng = np.random.default_rng(8)
    styles, manners = (OPTICAL, INK), (PLAIN, TWISTED)
    touches = [
        sample_touch(rng, style.placement, manner)
        for style, manner in zip(styles, manners, strict=True)
    ]
    contacts = [compute_contact(master, touch, rng) for touch in touches]
    images = []
    for style, contact in zip(styles, contacts, strict=True):
        image, _ = to_working_resolution(synthesize_image(style, *contact, rng), style.ppi)
        images.append(np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8))
    touch_a, touch_b = touches
    grid = pixel_grid(*touch_a.size)
    mapped = touch_b.warp.inverse(touch_a.warp(grid))
    x, y = np.ascontiguousarray(np.moveaxis(mapped.astype(np.float32), -1, 0))
    pressure_b = cv2.remap(contacts[1][1], x, y, cv2.INTER_LINEAR, borderValue=-9)
    common = (contacts[0][1] > LOOK.pressure_min) & (pressure_b > LOOK.pressure_min)
    for points, image in zip((grid, mapped), images, strict=True):
        plot_grid(image, points, common)
    height = max(len(image) for image in images)
    padding = [((0, height - len(image)), (0, 2 * LOOK.margin), (0, 0)) for image in images]
    return np.concatenate(
        [np.pad(i, pad, constant_values=255) for i, pad in zip(images, padding, strict=True)], 1
    )


def plot_grid(image: Image, points: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
    """Plot some rows and columns of `points` [H, W, 2] on `image`, inside `mask` [H, W]."""
    sixteenths = np.rint(16 * points).astype(np.int32)
    for axis, colour in enumerate((LOOK.row_colour, LOOK.column_colour)):
        for k in range(0, mask.shape[axis], LOOK.grid_step):
            line, shown = np.take(sixteenths, k, axis), np.take(mask, k, axis)
            steps = np.stack([line[:-1], line[1:]], 1)[shown[:-1] & shown[1:]]
            cv2.polylines(image, list(steps), False, colour, 2, cv2.LINE_AA, 4)


def tile(image: NDArray[np.generic], name: str) -> Image:
    """Scale an image down to a tile with its name above."""
    height, width = LOOK.tile
    scale = min(height / image.shape[0], width / image.shape[1])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    small = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    canvas = np.full((LOOK.head + height + LOOK.margin, width + LOOK.margin), 255, np.uint8)
    canvas[LOOK.head : LOOK.head + size[1], : size[0]] = np.clip(small, 0, 255)
    cv2.putText(canvas, name, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 40, 1, cv2.LINE_AA)
    return canvas


def write(name: str, image: Image) -> None:
    """Write a PNG with few grey levels beside this file."""
    step = 255 / (LOOK.grey_levels - 1)
    few = np.rint(np.rint(image / step) * step).astype(np.uint8)
    cv2.imwrite(str(Path(__file__).with_name(name)), few, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
