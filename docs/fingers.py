"""Draws the README's pictures of synthetic fingers: python docs/fingers.py

masters.png: a finger of each class. impressions.png: one finger by each sensor and in each manner.
dense_map.png: the exact map between two impressions of a finger.
"""

import sys
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
from pipeline.synthesis.manner import HARD, PLAIN, Manner
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
TILE = (210, 170)  # (height, width) px
HEAD = 16  # px, of a tile's name
GREYS = 18  # kept, so that the files stay small
LINES = 24  # px from line to line of the map
RED, BLUE = (60, 60, 220), (200, 110, 20)


def main() -> None:
    """Write the three pictures beside this file."""
    fingers = (synthesize_master(*ADDRESS, k) for k in range(1000))
    of_class = {}
    while len(of_class) < len(CLASSES):
        master = next(fingers)
        of_class.setdefault(master.flow.label, master)
    skins = [tile(127 - 120 * of_class[label].ridges, label) for label in CLASSES]
    write("masters.png", np.concatenate(skins, 1))
    master = of_class["left-loop"]
    plain = [(style, PLAIN) for style in (OPTICAL, CAPACITIVE, VIGNETTED, THERMAL, INK)]
    hard = list(zip((OPTICAL, THERMAL, CAPACITIVE, INK, VIGNETTED), HARD, strict=True))
    rows = [
        np.concatenate([pressed(master, *one, seed + 9) for seed, one in enumerate(row)], 1)
        for row in (plain, hard)
    ]
    write("impressions.png", np.concatenate(rows))
    write("dense_map.png", dense_map(of_class["whorl"]))


def pressed(master: Master, style: Style, manner: Manner, seed: int) -> Image:
    """A tile of an impression."""
    rng = np.random.default_rng([5, seed])
    touch = sample_touch(rng, style.placement, manner)
    image = synthesize_image(style, *compute_contact(master, touch, rng), rng)
    name = style.name if manner is PLAIN else f"{style.name}, {manner.name}"
    return tile(image, name)


def dense_map(master: Master) -> Image:
    """Lines of a grid on one impression, and where the map takes them on another."""
    rng = np.random.default_rng(8)
    touches = [sample_touch(rng, s.placement, m) for s, m in ((OPTICAL, PLAIN), (INK, HARD[0]))]
    skins = [compute_contact(master, touch, rng) for touch in touches]
    images = [
        to_working_resolution(synthesize_image(style, *skin, rng), style.ppi)[0]
        for style, skin in zip((OPTICAL, INK), skins, strict=True)
    ]
    images = [np.asarray(cv2.cvtColor(i, cv2.COLOR_GRAY2BGR), np.uint8) for i in images]
    (a, b), (level_a, level_b) = touches, (skin[1] for skin in skins)
    grid = pixel_grid(*a.size)
    mapped = b.warp.inverse(a.warp(grid))
    at = mapped.astype(np.float32)
    there = cv2.remap(level_b, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderValue=-9)
    seen = (level_a > -1) & (there > -1)
    for points, image in zip((grid, mapped), images, strict=True):
        draw_grid(image, points, seen)
    height = max(len(image) for image in images)
    padded = [
        np.pad(i, ((0, height - len(i)), (0, 12), (0, 0)), constant_values=255) for i in images
    ]
    return np.concatenate(padded, 1)


def draw_grid(image: Image, points: NDArray[np.float64], seen: NDArray[np.bool_]) -> None:
    """Every LINES-th row and column of `points` [H, W, 2] as far as they are `seen` [H, W]."""
    fixed = np.rint(16 * points).astype(np.int32)
    for axis, colour in enumerate((RED, BLUE)):
        for k in range(0, seen.shape[axis], LINES):
            line, shown = np.take(fixed, k, axis), np.take(seen, k, axis)
            steps = np.stack([line[:-1], line[1:]], 1)[shown[:-1] & shown[1:]]
            cv2.polylines(image, list(steps), False, colour, 2, cv2.LINE_AA, 4)


def tile(image: Image, name: str) -> Image:
    """The image, at most TILE, under its name."""
    scale = min(TILE[0] / image.shape[0], TILE[1] / image.shape[1])
    size = tuple(round(extent * scale) for extent in image.shape[::-1])
    small = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    made = np.full((HEAD + TILE[0] + 6, TILE[1] + 6), 255, np.uint8)
    made[HEAD : HEAD + size[1], : size[0]] = np.clip(small, 0, 255)
    cv2.putText(made, name, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 40, 1, cv2.LINE_AA)
    return made


def write(name: str, image: Image) -> None:
    """A PNG beside this file, in few greys."""
    step = 255 / (GREYS - 1)
    few = np.rint(np.rint(image / step) * step).astype(np.uint8)
    cv2.imwrite(str(Path(__file__).with_name(name)), few, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
