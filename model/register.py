"""Registers one print with another: a dense map over the whole of A, a score, matches.

The network sees of either print what it saw in training: `pipeline.preprocess`'s foreground crop.
Its matches are carried to px at 500 ppi, made into one smooth map that is defined beyond the crops
(`model.dense`), and that is carried to the px of the files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from model import dense, grid, resolution, similarity, weights
from model.dense import DenseMap
from model.matching import Correspondences
from model.net import Net
from pipeline import preprocess
from pipeline.preprocess import Crop, Prepared
from pipeline.warp import Array, apply_affine, compose_affine, invert_affine, pixel_grid

LEAST_CONFIDENCE = 0.01  # of a match that takes part in the fit, which counts it by its confidence
OVERLAP_MIN = 0.1  # share of the cells: so few that agree are no evidence, however alone they are
ROWS = 256  # of a map made at a time, to bound the memory

Answer = Callable[[NDArray[np.uint8], NDArray[np.uint8]], Correspondences]


@dataclass(frozen=True, eq=False)
class Registration:
    """What is known of a pair, in px of the files."""

    map_ab: NDArray[np.float32]  # [H_a, W_a, 2], (x, y) in B of A's pixels; NaN where none
    score: float  # in [0, 1], higher = same finger
    matches: NDArray[np.float32]  # [K, 5], x_a, y_a, x_b, y_b, confidence; those the map explains
    angle: float  # rad, from A to B, counter-clockwise as seen; NaN where nothing is claimed

    def save(self, path: Path) -> None:
        """Write map_ab, score and matches as .npz, at once or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("wb") as file:
            np.savez(file, map_ab=self.map_ab, score=self.score, matches=self.matches)
        temporary.replace(path)


@dataclass(frozen=True, eq=False)
class Print:
    """An image ready to be registered, with any other and any number of times."""

    shape: tuple[int, int]  # of the file, (height, width)
    prepared: Prepared
    crop: Crop

    @property
    def to_working(self) -> Array:
        """Px of the crop → px at 500 ppi, float64 [2, 3]."""
        return compose_affine(invert_affine(self.prepared.to_original), self.crop.to_original)


class Registrar:
    """A trained network with what registering needs around it."""

    def __init__(self, checkpoint: Path) -> None:
        """Load the .safetensors file `checkpoint`; Fault or Misuse where it is unusable."""
        loaded = weights.load(checkpoint)
        self.config, self.view = loaded.net.config, loaded.view
        cells = grid.centres(self.config.cells, self.config.stride)
        self.cells = np.asarray(cells, np.float64)
        self._answer = _compile(loaded.net)

    def open(self, image: NDArray[np.uint8], ppi: float, name: str = "image") -> Print:
        """An image uint8 [H, W] made ready; a Fault that names it where it shows no finger."""
        prepared = preprocess.prepare(image, ppi, name)
        crop = preprocess.crop(prepared, self.view.crop, self.view.size)
        return Print((image.shape[0], image.shape[1]), prepared, crop)

    def open_file(self, path: Path, ppi: float | None = None) -> Print:
        """The image file at `path` made ready; its own resolution where no `ppi` is given."""
        return self.open(preprocess.load(path), ppi or resolution.of_file(path), str(path))

    def register(
        self, image_a: NDArray[np.uint8], ppi_a: float, image_b: NDArray[np.uint8], ppi_b: float
    ) -> Registration:
        """Two images uint8 [H, W], dark ridges, of the given resolutions → their registration."""
        return self.register_prints(
            self.open(image_a, ppi_a, "image A"), self.open(image_b, ppi_b, "image B")
        )

    def register_prints(self, a: Print, b: Print) -> Registration:
        """The same for prints that are open already. With no agreement the map is all NaN."""
        matches = self.match(a.crop, b.crop)
        working = np.c_[
            apply_affine(a.to_working, matches[:, :2]),
            apply_affine(b.to_working, matches[:, 2:4]),
            matches[:, 4],
        ]
        height, width = a.prepared.mask.shape
        found = dense.fit(working, (height, width))
        if found is None:
            nowhere = np.full((*a.shape, 2), np.nan, np.float32)
            return Registration(nowhere, 0.0, np.zeros((0, 5), np.float32), float("nan"))
        kept = _in_files(working[found.agrees], a, b)
        score = self.score(working, found, a, b)
        return Registration(spread(found, a, b), score, kept, similarity.angle(found.matrix))

    def match(self, a: Crop, b: Crop) -> Array:
        """The network's mutual matches [K, 5] between the fingers on two crops, px of the crops."""
        found = self._answer(a.image[None], b.image[None])
        points = np.asarray(found.points[0], np.float64)
        confidence = np.asarray(found.confidence[0], np.float64)
        keep = np.asarray(found.mutual[0]) & (confidence > LEAST_CONFIDENCE)
        keep &= _on(a.mask, self.cells) & _on(b.mask, points)
        return np.c_[self.cells, points, confidence][keep]

    def score(self, working: Array, found: DenseMap, a: Print, b: Print) -> float:
        """Confidence of the matches that the map explains over the cells that it makes overlap.

        As `support` defines it; a cell overlaps where it and its place in B are on the fingers and
        in the crops.
        """
        place = found(apply_affine(a.to_working, self.cells))
        in_b = apply_affine(invert_affine(b.to_working), place)
        overlap = int((_on(a.crop.mask, self.cells) & _on(b.crop.mask, in_b)).sum())
        return support(float(working[found.agrees, 4].sum()), overlap, len(self.cells))


def support(agreeing: float, overlap: int, cells: int) -> float:
    """The score in [0, 1] of a map that matches of total confidence `agreeing` explain.

    1 would be a certain match in every cell that the map makes overlap. An overlap below
    OVERLAP_MIN of all `cells` counts as that many.
    """
    return min(1.0, agreeing / max(overlap, OVERLAP_MIN * cells))


def spread(found: DenseMap, a: Print, b: Print) -> NDArray[np.float32]:
    """The map float32 [H_a, W_a, 2] in px of the files; NaN off either finger."""
    to_working = invert_affine(a.prepared.to_original)
    height, width = a.shape
    out = np.full((height, width, 2), np.nan, np.float32)
    for top in range(0, height, ROWS):
        pixels = pixel_grid(min(ROWS, height - top), width)
        pixels[..., 1] += top
        points = apply_affine(to_working, pixels)
        place = found(points)
        seen = preprocess.on_finger(a.prepared, points) & preprocess.on_finger(b.prepared, place)
        rows = out[top : top + ROWS]
        rows[seen] = apply_affine(b.prepared.to_original, place[seen])
    return out


def _compile(net: Net) -> Answer:
    """The network's answer to batches of crops uint8 [B, S, S], compiled once."""
    graph, params = nnx.split(net)

    @jax.jit
    def answer(params: nnx.State, image_a: jax.Array, image_b: jax.Array) -> Correspondences:
        net: Net = nnx.merge(graph, params)
        return net.correspond(net(image_a, image_b))

    return lambda image_a, image_b: answer(params, image_a, image_b)


def _in_files(matches: Array, a: Print, b: Print) -> NDArray[np.float32]:
    """Matches [K, 5] in px at 500 ppi → in px of the files."""
    return np.c_[
        apply_affine(a.prepared.to_original, matches[:, :2]),
        apply_affine(b.prepared.to_original, matches[:, 2:4]),
        matches[:, 4],
    ].astype(np.float32)


def _on(mask: NDArray[np.bool_], points: Array) -> NDArray[np.bool_]:
    """Whether points (x, y) [K, 2] lie where `mask` [H, W] is true; not outside of it."""
    x, y = np.floor(points + 0.5).astype(np.int64).T
    height, width = mask.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.asarray(inside & mask[y.clip(0, height - 1), x.clip(0, width - 1)])
