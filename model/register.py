"""Registers one print with another: a dense map over the whole of A, a score, matches.

The network sees of either print what it saw in training: `pipeline.preprocess`'s foreground crop.
Its matches are carried to px at 500 ppi and made into one smooth map, defined beyond the crops
(`model.dense`), which is refined on the ridges (`model.refine`) and carried to the px of the files.
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
from model.refine import Texture, refine, texture
from pipeline import preprocess
from pipeline.preprocess import Crop, Prepared
from pipeline.warp import Array, apply_affine, compose_affine, invert_affine, pixel_grid
from shards.errors import Fault

LEAST_CONFIDENCE = 0.01  # of a match that takes part in the fit, which counts it by its confidence
CANDIDATES = 4  # similarities tried
BORNE_OUT = 0.4  # agreement of ridges that only a right map reaches (FVC2002 DB1_B: wrong ones 0.1)
EXPLAINED = 9.0  # px at 500 ppi, a ridge period: a match that near to the map is explained by it
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
        """Write map_ab, score and matches as .npz, at once or not at all; Fault where it fails."""
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(file, map_ab=self.map_ab, score=self.score, matches=self.matches)
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise Fault(f"{path}: cannot be written: {error.strerror}") from error


@dataclass(frozen=True, eq=False)
class Print:
    """An image ready to be registered, with any other and any number of times."""

    shape: tuple[int, int]  # of the file, (height, width)
    prepared: Prepared
    crop: Crop
    texture: Texture

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
        ridges = texture(prepared.image, prepared.mask)
        return Print((image.shape[0], image.shape[1]), prepared, crop, ridges)

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
        found, score = search(working, a.texture, b.texture)
        if found is None:
            nowhere = np.full((*a.shape, 2), np.nan, np.float32)
            return Registration(nowhere, 0.0, np.zeros((0, 5), np.float32), float("nan"))
        off = np.hypot(*(found(working[:, :2]) - working[:, 2:4]).T)
        kept = _in_files(working[off < EXPLAINED], a, b)
        return Registration(spread(found, a, b), score, kept, similarity.angle(found.matrix))

    def match(self, a: Crop, b: Crop) -> Array:
        """The network's mutual matches [K, 5] between the fingers on two crops, px of the crops."""
        found = self._answer(a.image[None], b.image[None])
        points = np.asarray(found.points[0], np.float64)
        confidence = np.asarray(found.confidence[0], np.float64)
        keep = np.asarray(found.mutual[0]) & (confidence > LEAST_CONFIDENCE)
        keep &= _on(a.mask, self.cells) & _on(b.mask, points)
        return np.c_[self.cells, points, confidence][keep]


def search(matches: Array, a: Texture, b: Texture) -> tuple[DenseMap | None, float]:
    """The refined map that brings A's ridges onto B's best, and `refine.agreement` of it.

    Of matches [K, 5] in px at 500 ppi. The similarity that most of them support comes first; where
    the ridges do not bear it out, the next one is tried, on the matches that the first leaves over,
    up to CANDIDATES. None, and 0, where no similarity has enough support.
    """
    best: DenseMap | None = None
    score = 0.0
    for _ in range(CANDIDATES):
        found = dense.fit(matches, a.shape)
        if found is None:
            break
        refined, agreed = refine(found, a, b)
        if best is None or agreed > score:
            best, score = refined, agreed
        if score > BORNE_OUT:
            break
        matches = matches[~found.agrees]
    return best, score


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
