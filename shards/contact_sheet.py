"""A contact sheet of pairs on which a person sees whether the correspondences are right.

Each pair has three panels: A with a grid, B with the same grid bent by the map, both with the same
numbered points, and A chequered with B as the map brings it onto A: where the map is right, ridges
run on across the borders of the squares.
"""

from __future__ import annotations

import colorsys
from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.foundation.errors import Fault, Misuse
from shards.manifest import SPLITS
from shards.record import Pair, decode
from shards.store import ShardSet
from shards.verify.check_correspondence import resampled

SCALE = 2  # px of the sheet a px of an image
GAP = 6
HEAD = 34  # px of text above a pair
COLUMNS = 2  # pairs side by side
LINES = 8  # of the grid, each way
POINTS = 4  # numbered, along each side
SQUARES = 8  # of the chequer, along a side
INK = {"genuine": (60, 130, 20), "genuine-impressions": (150, 90, 0), "impostor": (40, 40, 200)}

Colour = tuple[int, int, int]  # blue, green, red
Picture = NDArray[np.uint8]  # [h, w, 3]


def write_sheet(
    shards: ShardSet, out: Path, pairs: int = 16, partitions: Collection[str] = ()
) -> int:
    """Write a PNG of up to `pairs` pairs drawn evenly from all splits; returns how many.

    Of `partitions`, or of all where none is named. Misuse where the set has no such partition;
    Fault where a record or the file fails.
    """
    chosen = choose(shards, pairs, partitions)
    tiles = []
    for split, index in chosen:
        entry, number = shards.locate(split, index)
        try:
            pair = decode(shards.read(split, [index])[0])
        except Fault as fault:
            raise Fault(f"{entry.name} record {number}: {fault}") from fault
        tiles.append(tile(pair, split, f"{entry.name} record {number}"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(cv2.imencode(".png", _laid_out(tiles))[1].tobytes())
    except OSError as error:
        raise Fault(f"{out}: cannot be written: {error.strerror}") from error
    return len(tiles)


def choose(shards: ShardSet, pairs: int, partitions: Collection[str] = ()) -> list[tuple[str, int]]:
    """(split, index) of a fixed random sample, in order; no list is made of all records."""
    known = sorted(shards.manifest.partitions)
    if unknown := sorted(set(partitions) - set(known)):
        has = f"{shards.directory} has no partition {', '.join(unknown)}"
        raise Misuse(f"{has}; it has {', '.join(known)}")
    wanted = [
        (split, start, entry.records)
        for split in SPLITS
        for start, entry in shards.shard_starts(split)
        if not partitions or entry.partition in partitions
    ]
    ends = np.cumsum([0, *(records for _, _, records in wanted)])
    total = int(ends[-1])
    drawn = np.random.default_rng(0).choice(total, min(pairs, total), replace=False)
    found = []
    for k in np.sort(drawn).tolist():
        shard = int(np.searchsorted(ends, k, "right")) - 1
        split, start, _ = wanted[shard]
        found.append((split, start + k - int(ends[shard])))
    return found


def tile(pair: Pair, split: str, where: str) -> Picture:
    """The three panels of one pair under two lines that say what it is."""
    a, b = (_enlarged(image) for image in (pair.image_a, pair.image_b))
    chequer = _chequer(pair)
    if pair.genuine:
        stride = len(pair.image_a) // len(pair.visible)
        i = np.arange(len(pair.visible)) * stride + (stride - 1) / 2
        in_a = np.stack(np.meshgrid(i, i), -1)
        for image, at in ((a, in_a), (b, pair.map_ab)):
            _draw_grid(image, at, pair.visible)
            _draw_points(image, at, pair.visible)
    row = [_bordered(panel) for panel in (a, b, chequer)]
    body = np.concatenate(row, 1)
    head = np.full((HEAD, body.shape[1], 3), 255, np.uint8)
    ids = " / ".join(dict.fromkeys((pair.image_id_a, pair.image_id_b)))
    _write(head, f"{pair.kind}   {pair.noise}   {split}", (4, 13), INK[pair.kind], 0.45)
    _write(head, f"{ids}   {where}", (4, 28), (90, 90, 90), 0.33)
    return np.concatenate([head, body])


def _enlarged(image: NDArray[np.uint8]) -> Picture:
    """Grey [H, W] to colour at SCALE, its contrast spread and lightened for lines to stand out."""
    big = cv2.resize(_spread(image), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    return _coloured(80 + np.clip(big, 0, 255) * (175 / 255))


def _spread(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The image with its darkest and lightest half per cent at 0 and 255, for the eye alone."""
    low, high = np.percentile(image, (0.5, 99.5))
    spread = (image.astype(np.float32) - low) * (255 / max(high - low, 1))
    return np.clip(spread, 0, 255).astype(np.float32)


def _coloured(grey: NDArray[np.floating]) -> Picture:
    return np.repeat(grey.astype(np.uint8)[..., None], 3, -1)


def _chequer(pair: Pair) -> Picture:
    """Squares of A and of B brought onto A, grey where nothing corresponds."""
    a, b = _spread(pair.image_a), _spread(pair.image_b)
    side = len(a) * SCALE
    y, x = np.mgrid[0:side, 0:side] * SQUARES // side
    if not pair.genuine:
        picture = np.full((side, side, 3), 235, np.uint8)
        _write(picture, "two fingers: no map", (side // 5, side // 2), INK["impostor"], 0.45)
        return picture
    known = np.where(pair.visible[..., None], pair.map_ab, np.float32(0))
    at = np.asarray(cv2.resize(known, (side, side)), np.float32)
    seen = np.asarray(cv2.resize(pair.visible.astype(np.float32), (side, side))) > 0.999
    big_a = np.asarray(cv2.resize(a, (side, side), interpolation=cv2.INTER_CUBIC))
    mixed = np.where((x + y) % 2 == 0, big_a, resampled(b, at))
    return _coloured(np.where(seen, np.clip(mixed, 0, 255), 235))


def _draw_grid(image: Picture, at: NDArray[np.floating], visible: NDArray[np.bool_]) -> None:
    """Rows and columns of cells as lines, broken where cells are not visible."""
    cells = len(visible)
    for k in np.linspace(0, cells - 1, LINES).round().astype(int):
        for line, seen, colour in (
            (at[k], visible[k], _colour(0.02 + 0.13 * k / cells)),
            (at[:, k], visible[:, k], _colour(0.5 + 0.2 * k / cells)),
        ):
            ends = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]])))
            for start, stop in zip(ends[::2], ends[1::2], strict=True):
                points = _on_sheet(line[start:stop])
                cv2.polylines(image, [points], False, colour, 1, cv2.LINE_AA, 4)


def _draw_points(image: Picture, at: NDArray[np.floating], visible: NDArray[np.bool_]) -> None:
    """Numbered points at the same cells of both images."""
    cells = len(visible)
    lattice = ((np.arange(POINTS) + 0.5) * cells / POINTS).astype(int)
    for number, (row, column) in enumerate((r, c) for r in lattice for c in lattice):
        if visible[row, column]:
            x, y = _on_sheet(at[row, column])
            colour = _colour(number / POINTS**2)
            cv2.circle(image, (x, y), 5 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
            cv2.circle(image, (x, y), 4 * 16, colour, -1, cv2.LINE_AA, 4)
            _write(image, str(number + 1), (x // 16 + 6, y // 16 + 4), (0, 0, 0), 0.38)


def _on_sheet(points: NDArray[np.floating]) -> NDArray[np.int32]:
    """Positions px [..., 2] as sixteenths of a px of the enlarged image."""
    return np.asarray(((points + 0.5) * SCALE - 0.5) * 16).round().astype(np.int32)


def _colour(hue: float) -> Colour:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, 1, 0.85))
    return blue, green, red


def _write(image: Picture, text: str, at: tuple[int, int], colour: Colour, size: float) -> None:
    shown = text.encode("ascii", "replace").decode()
    cv2.putText(image, shown, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def _bordered(image: Picture) -> Picture:
    return np.pad(image, ((0, GAP), (GAP // 2, GAP // 2), (0, 0)), constant_values=255)


def _laid_out(tiles: list[Picture]) -> Picture:
    """Tiles in COLUMNS columns; a white page where there is none."""
    if not tiles:
        raise Fault("the set has no record to show")
    blank = np.full_like(tiles[0], 255)
    tiles = tiles + [blank] * (-len(tiles) % COLUMNS)
    padded = [np.pad(t, ((4, 4), (8, 8), (0, 0)), constant_values=255) for t in tiles]
    rows = [np.concatenate(padded[k : k + COLUMNS], 1) for k in range(0, len(tiles), COLUMNS)]
    return np.concatenate(rows)
