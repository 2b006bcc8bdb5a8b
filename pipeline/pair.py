"""One pair of images with its true correspondence: the one place that knows the order of steps.

The order is the paper's (IFViT, arXiv 2404.08237): the original is A; the corrupted version of an
impression, corrupted at 500 ppi, then turned, is B; both are brought to the network's size last.
"""

from __future__ import annotations

import functools
import math
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline import degradation
from pipeline.imaging import preprocess
from pipeline.imaging.preprocess import Image, Mask, Prepared
from pipeline.imaging.resample import View, view
from pipeline.imaging.warp import (
    IDENTITY,
    Array,
    Warp,
    apply_affine,
    compose_affine,
    invert_affine,
    pixel_grid,
    random_control,
    rotation,
)
from pipeline.impression import Impression
from pipeline.spec import PipelineSpec
from shards.record import Pair

Index = NDArray[np.intp]
Trace = list[tuple[str, Image]]  # (name, image) of every stage, for a person to look at
PARTNER, NOISE, GEOMETRY, CENTRE = range(4)  # stages, the last part of a random address
ELASTIC_SPACING = 72.0  # px at 500 ppi between control points, about 3.7 mm of skin
MAP_STEPS = 1024  # a px; coarser than the last bits in which machines differ
ELASTIC_STRAIN = 0.3  # bound; skin is stretched by less
STRETCH_MOST = 2.5  # deviations


@dataclass(frozen=True, eq=False)
class Print:
    """An impression opened once, for all pairs that it is part of."""

    impression: Impression
    around: Prepared  # the window that every crop of it is cut from
    plain: Image  # [size, size], the crop as it is: image A
    to_original: Array  # [2, 3], px of that crop → px of the file
    on_finger: Mask  # [G, G], of the cells of that crop
    truth: Warp | None  # px of the file → px of the finger's master, where known


class Frame(NamedTuple):
    """How the crop lies in the window, which has its centre in the middle for every print."""

    radius: int  # px at 500 ppi, half the side of the window
    matrix: Array  # [2, 3], px of the crop → px of the window
    plain: View  # of the crop as it is
    cells: tuple[Index, Index]  # each [G, G], row and column in the window of its cells' centres


@dataclass(frozen=True)
class Address:
    """What pair: its kind, the corruption of B, and its number in its partition."""

    kind: str
    noise: str
    index: int

    def rng(self, seed: int, partition: str, stage: int) -> np.random.Generator:
        """The generator of one stage of this pair, whatever was made before it."""
        return _generator(seed, zlib.crc32(partition.encode()), self.index, stage)


def open_print(
    impression: Impression,
    image: Image,
    truth: Warp | None,
    spec: PipelineSpec,
    trace: Trace | None = None,
) -> Print:
    """The impression as its `image` uint8 [H, W] shows it; Fault where that shows no finger."""
    prepared = preprocess.prepare(image, impression.ppi, str(impression.path))
    prepared = preprocess.draw_centre(prepared, spec.crop, _centre_rng(impression, spec.seed))
    frame = _frame(spec)
    around = preprocess.window(prepared, frame.radius)
    plain = frame.plain.render(around.image[frame.plain.part])
    if trace is not None:
        foreground = np.where(prepared.mask, prepared.image, prepared.image // 3)
        trace += [("file", image), ("foreground at 500 ppi", foreground)]
        trace += [("window", around.image), ("A", plain)]
    on_finger = around.mask[frame.cells]
    to_original = compose_affine(around.to_original, frame.matrix)
    return Print(impression, around, plain, to_original, on_finger, truth)


def make_pair(
    a: Print, b: Print, address: Address, spec: PipelineSpec, trace: Trace | None = None
) -> Pair:
    """The pair of A as it is and B corrupted, then warped; pure in its arguments."""
    partition = a.impression.partition
    params = degradation.sample(address.noise, address.rng(spec.seed, partition, NOISE))
    warp = sample_warp(address.rng(spec.seed, partition, GEOMETRY), spec)
    seen = view(b.around.image.shape, _frame(spec).matrix, spec.size, warp)
    image_b = seen.render(degradation.apply(b.around.image, params, seen.part))
    map_ab, visible = _truth(a, b, address.kind, warp, spec)
    if trace is not None:
        trace += [(address.noise, degradation.apply(b.around.image, params)), ("B", image_b)]
    return Pair(
        image_a=a.plain,
        image_b=image_b,
        map_ab=map_ab,
        visible=visible,
        kind=address.kind,
        noise=address.noise,
        finger_a=a.impression.finger,
        finger_b=b.impression.finger,
        image_id_a=a.impression.image_id,
        image_id_b=b.impression.image_id,
        to_original_a=a.to_original,
        to_original_b=b.to_original,
        seed=spec.seed,
        index=address.index,
    )


def _centre_rng(impression: Impression, seed: int) -> np.random.Generator:
    """The generator of where the crop of an image lies, the same in all of its pairs."""
    names = (impression.partition, impression.image_id)
    return _generator(seed, *(zlib.crc32(n.encode()) for n in names), CENTRE)


def _generator(*address: int) -> np.random.Generator:
    """numpy.random.default_rng of the address; given as words of 32 bits it starts sooner."""
    words = max(address) < 2**32
    return np.random.default_rng(np.array(address, np.uint32) if words else list(address))


def sample_warp(rng: np.random.Generator, spec: PipelineSpec) -> Warp:
    """What turns, shifts and stretches B: px of B → px of its crop without it, both `size` px."""
    scale = spec.crop / spec.size
    middle = (spec.size - 1) / 2
    angle = rng.uniform(*spec.rotation_range)
    x, y = rng.uniform(-1, 1, 2) * spec.translation / scale
    # the image turns by `angle` when the sampling positions turn back
    matrix = invert_affine(rotation(float(angle), (middle, middle), (float(x), float(y))))
    if spec.stretch:
        matrix = compose_affine(matrix, _stretch(rng, spec.stretch, middle))
    if not spec.elastic:
        return Warp(matrix)
    spacing = ELASTIC_SPACING / scale
    size = (spec.size, spec.size)
    control, origin = random_control(rng, size, spacing, spec.elastic / scale, ELASTIC_STRAIN)
    return Warp(matrix, control, spacing, origin)


def _stretch(rng: np.random.Generator, deviation: float, middle: float) -> Array:
    """Matrix [2, 3] about the middle: wider along a random axis, and all in all half as much.

    Fingers that are pulled or pressed harder are: between two real impressions of one finger the
    two ways differ by 0.05 at the median and by 0.15 in one pair of twenty (FVC2002 DB1_B).
    """
    axis = rng.uniform(0, math.pi)
    apart, alike = np.clip(rng.normal(0, 1, 2), -STRETCH_MOST, STRETCH_MOST) * deviation / 2
    turn = np.array([[math.cos(axis), -math.sin(axis)], [math.sin(axis), math.cos(axis)]])
    linear = turn @ np.diag(np.exp([alike + apart, alike - apart])) @ turn.T
    return np.c_[linear, middle - linear @ (middle, middle)]


def _truth(
    a: Print, b: Print, kind: str, warp: Warp, spec: PipelineSpec
) -> tuple[NDArray[np.float32], Mask]:
    """Map float32 [G, G, 2] and visibility bool [G, G]; nowhere visible for an impostor pair."""
    cells = _cells(spec)
    if kind == "impostor":
        return np.full(cells.shape, np.nan, np.float32), np.zeros(cells.shape[:2], np.bool_)
    if kind == "genuine":
        in_b, on_both = cells, a.on_finger
    else:
        in_b = _between(a, b, cells)
        in_window = apply_affine(_frame(spec).matrix, in_b)
        on_both = a.on_finger & preprocess.on_finger(b.around, in_window)
    found = np.rint(warp.inverse(in_b, 0.1 / MAP_STEPS) * MAP_STEPS) / MAP_STEPS
    in_view = (found >= -0.5) & (found < spec.size - 0.5)
    visible = in_view[..., 0] & in_view[..., 1] & on_both
    return np.where(visible[..., None], found, np.nan).astype(np.float32), visible


@functools.lru_cache(maxsize=4)
def _frame(spec: PipelineSpec) -> Frame:
    """What the windows of all prints of a spec have alike; to be read only."""
    travel = math.sqrt(2) * spec.translation + 4 * spec.elastic
    travel += math.expm1(STRETCH_MOST * spec.stretch) * spec.crop / math.sqrt(2)
    radius = preprocess.reach(spec.crop, travel)
    matrix = preprocess.crop_matrix(preprocess.middle(radius), spec.crop, spec.size)
    plain = view((2 * radius, 2 * radius), matrix, spec.size, Warp(IDENTITY))
    x, y = np.moveaxis(np.floor(apply_affine(matrix, _cells(spec)) + 0.5).astype(np.intp), -1, 0)
    return Frame(radius, matrix, plain, (y, x))


@functools.lru_cache(maxsize=4)
def _cells(spec: PipelineSpec) -> Array:
    """Cell centres (x, y) [G, G, 2], px of a crop; to be read only."""
    return pixel_grid(spec.grid, spec.grid, spec.size // spec.grid)


def _between(a: Print, b: Print, points: Array) -> Array:
    """Points of the crop of A in the crop of B, by way of the finger's master."""
    if a.truth is None or b.truth is None:
        raise ValueError(f"{a.impression.image_id}: no warp to its master, no pair with another")
    master = a.truth(apply_affine(a.to_original, points))
    return apply_affine(invert_affine(b.to_original), b.truth.inverse(master))
