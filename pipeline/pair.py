"""Synthesis of one training pair with its ground truth.

The order of steps is that of IFViT (arXiv 2404.08237, section on the dense registration data).
Image A is the crop of an impression. Image B is the crop of the same or another impression, which
is first degraded at 500 ppi and then warped (rotation, shift, stretch, elastic deformation). Both
are resampled to the size of the network's input in the last step.
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
from pipeline.imaging import cropping, preprocess
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
Trace = list[tuple[str, Image]]  # (name, image) of each stage, for `python -m pipeline show`

# Stages: the last part of the address of a random generator.
PARTNER, NOISE, GEOMETRY, CENTRE = 0, 1, 2, 3


@dataclass(frozen=True)
class PairParameters:
    """Geometry of pairs that the spec leaves fixed."""

    elastic_spacing: float = 72.0  # px at 500 ppi between control points; chosen: 3.7 mm of skin
    elastic_strain: float = 0.3  # largest strain of the elastic warp; chosen: skin strains less
    stretch_limit: float = 2.5  # standard deviations at which the stretch is cut off; chosen
    map_steps: int = 1024  # per px of the map; coarser than rounding differences between machines


DEFAULT = PairParameters()


@dataclass(frozen=True, eq=False)
class PreparedImpression:
    """An impression that was decoded once, for all pairs that it is part of.

    Attributes:
        impression: identity and resolution.
        window: foreground at 500 ppi, cut to the window that contains every crop.
        crop_image: uint8 [size, size], the crop without degradation and warp: image A.
        to_original: float64 [2, 3], px of that crop → px of the file.
        cells_on_finger: bool [G, G], True where the centre of the crop's cell is on the foreground.
        to_master: warp from px of the file to px of the finger's master; None where unknown.
    """

    impression: Impression
    window: Prepared
    crop_image: Image
    to_original: Array
    cells_on_finger: Mask
    to_master: Warp | None


class CropPosition(NamedTuple):
    """Position of the crop in the window; the same for all impressions of a spec.

    Attributes:
        radius: half the side of the window, px at 500 ppi.
        matrix: float64 [2, 3], px of the crop → px of the window.
        view: sampling of the crop without warp.
        cell_pixels: row and column in the window of the px at each cell's centre, both [G, G].
    """

    radius: int
    matrix: Array
    view: View
    cell_pixels: tuple[Index, Index]


@dataclass(frozen=True)
class Address:
    """The address of a pair in its partition.

    Attributes:
        kind: one of `shards.record.KINDS`.
        noise: degradation of image B, one of `shards.record.NOISES`.
        index: number of the pair in its partition.
    """

    kind: str
    noise: str
    index: int

    def rng(self, seed: int, partition: str, stage: int) -> np.random.Generator:
        """Return the random generator of one stage; it depends on the arguments alone."""
        return _generator(seed, zlib.crc32(partition.encode()), self.index, stage)


def prepare_impression(
    impression: Impression,
    image: Image,
    to_master: Warp | None,
    spec: PipelineSpec,
    trace: Trace | None = None,
    parameters: PairParameters = DEFAULT,
) -> PreparedImpression:
    """Find the foreground of an image and cut its window and its crop.

    Args:
        impression: identity and resolution of the image.
        image: uint8 [H, W], px of the file.
        to_master: warp from px of the file to px of the finger's master, where known.
        spec: settings of the set.
        trace: receives the image of each stage.
        parameters: geometry of the warp, on which the size of the window depends.

    Raises:
        Fault: the image has no foreground, or its size or resolution is not plausible.
    """
    prepared = preprocess.prepare(image, impression.ppi, str(impression.path))
    prepared = cropping.sample_centre(prepared, spec.crop, _centre_rng(impression, spec.seed))
    position = _crop_position(spec, parameters)
    window = cropping.window(prepared, position.radius)
    crop_image = position.view.render(window.image[position.view.part])
    if trace is not None:
        foreground = np.where(prepared.mask, prepared.image, prepared.image // 3)
        trace += [("file", image), ("foreground at 500 ppi", foreground)]
        trace += [("window", window.image), ("A", crop_image)]
    cells_on_finger = window.mask[position.cell_pixels]
    to_original = compose_affine(window.to_original, position.matrix)
    return PreparedImpression(
        impression, window, crop_image, to_original, cells_on_finger, to_master
    )


def make_pair(
    a: PreparedImpression,
    b: PreparedImpression,
    address: Address,
    spec: PipelineSpec,
    trace: Trace | None = None,
    parameters: PairParameters = DEFAULT,
) -> Pair:
    """Synthesize the pair of crop A and the degraded, warped crop B; a pure function.

    Args:
        a, b: the two impressions; the same one for a pair of kind "genuine".
        address: kind, degradation and number of the pair.
        spec: settings of the set.
        trace: receives the degraded image and image B.
        parameters: geometry of the warp.

    Raises:
        ValueError: the pair needs the map between two impressions and it is unknown.
    """
    partition = a.impression.partition
    noise = degradation.sample(address.noise, address.rng(spec.seed, partition, NOISE))
    warp = sample_warp(address.rng(spec.seed, partition, GEOMETRY), spec, parameters)
    matrix = _crop_position(spec, parameters).matrix
    view_b = view(b.window.image.shape, matrix, spec.size, warp)
    image_b = view_b.render(degradation.apply(b.window.image, noise, view_b.part))
    map_ab, visible = _ground_truth(a, b, address.kind, warp, spec, parameters)
    if trace is not None:
        trace += [(address.noise, degradation.apply(b.window.image, noise)), ("B", image_b)]
    return Pair(
        image_a=a.crop_image,
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


def sample_warp(
    rng: np.random.Generator, spec: PipelineSpec, parameters: PairParameters = DEFAULT
) -> Warp:
    """Sample the warp of image B: px of B → px of its crop without the warp, both `spec.size` px.

    Args:
        rng: generator of stage GEOMETRY of the pair's address.
        spec: ranges of rotation, shift, stretch and elastic deformation.
        parameters: spacing and limits.
    """
    scale = spec.crop / spec.size
    middle = (spec.size - 1) / 2
    angle = rng.uniform(*spec.rotation_range)
    x, y = rng.uniform(-1, 1, 2) * spec.translation / scale
    # The image rotates by `angle` when its sampling positions rotate by -angle.
    matrix = invert_affine(rotation(float(angle), (middle, middle), (float(x), float(y))))
    if spec.stretch:
        limit = parameters.stretch_limit
        matrix = compose_affine(matrix, _sample_stretch(rng, spec.stretch, limit, middle))
    if not spec.elastic:
        return Warp(matrix)
    spacing = parameters.elastic_spacing / scale
    size = (spec.size, spec.size)
    control, origin = random_control(
        rng, size, spacing, spec.elastic / scale, parameters.elastic_strain
    )
    return Warp(matrix, control, spacing, origin)


def _centre_rng(impression: Impression, seed: int) -> np.random.Generator:
    """Return the generator of the position of an image's crop, the same in all of its pairs."""
    partition = zlib.crc32(impression.partition.encode())
    image_id = zlib.crc32(impression.image_id.encode())
    return _generator(seed, partition, image_id, CENTRE)


def _generator(*address: int) -> np.random.Generator:
    """Return numpy.random.default_rng(address); 32-bit words as an array make it start faster."""
    fits_words = max(address) < 2**32
    return np.random.default_rng(np.array(address, np.uint32) if fits_words else list(address))


def _sample_stretch(
    rng: np.random.Generator, deviation: float, limit: float, middle: float
) -> Array:
    """Sample a stretch [2, 3] about the middle, along a random axis.

    The logarithms of the scales along and across the axis are mean ± difference: two normal numbers
    of standard deviation `deviation` / 2, clipped at `limit` deviations. Measured between real
    impressions of one finger (FVC2002 DB1_B): the scales differ by 0.05 at the median and by 0.15
    in one pair of twenty (docs/LOG.md, 2026-11-23, "Stretch, and second
    looks").
    """
    axis = rng.uniform(0, math.pi)
    difference, mean = np.clip(rng.normal(0, 1, 2), -limit, limit) * deviation / 2
    turn = np.array([[math.cos(axis), -math.sin(axis)], [math.sin(axis), math.cos(axis)]])
    scales = np.exp([mean + difference, mean - difference])
    linear = turn @ np.diag(scales) @ turn.T
    return np.c_[linear, middle - linear @ (middle, middle)]


def _ground_truth(
    a: PreparedImpression,
    b: PreparedImpression,
    kind: str,
    warp: Warp,
    spec: PipelineSpec,
    parameters: PairParameters,
) -> tuple[NDArray[np.float32], Mask]:
    """Compute the map and the visibility of A's cells.

    Returns:
        map_ab: float32 [G, G, 2], position (x, y) in B, px, of A's cell centres; NaN where not
            visible.
        visible: bool [G, G], True where both positions are on the finger and in the image.
    """
    cells = _cell_centres(spec)
    if kind == "impostor":
        return np.full(cells.shape, np.nan, np.float32), np.zeros(cells.shape[:2], np.bool_)
    if kind == "genuine":
        in_crop_b, on_both = cells, a.cells_on_finger
    else:
        in_crop_b = _map_between(a, b, cells)
        in_window_b = apply_affine(_crop_position(spec, parameters).matrix, in_crop_b)
        on_both = a.cells_on_finger & cropping.on_finger(b.window, in_window_b)
    steps = parameters.map_steps
    positions = np.rint(warp.inverse(in_crop_b, 0.1 / steps) * steps) / steps
    in_image = (positions >= -0.5) & (positions < spec.size - 0.5)
    visible = in_image[..., 0] & in_image[..., 1] & on_both
    return np.where(visible[..., None], positions, np.nan).astype(np.float32), visible


@functools.lru_cache(maxsize=4)
def _crop_position(spec: PipelineSpec, parameters: PairParameters) -> CropPosition:
    """Compute the position of a spec's crops; callers must not change the arrays."""
    travel = math.sqrt(2) * spec.translation + 4 * spec.elastic
    largest_stretch = math.expm1(parameters.stretch_limit * spec.stretch)
    travel += largest_stretch * spec.crop / math.sqrt(2)
    radius = cropping.window_radius(spec.crop, travel)
    matrix = cropping.crop_matrix(cropping.window_centre(radius), spec.crop, spec.size)
    crop_view = view((2 * radius, 2 * radius), matrix, spec.size, Warp(IDENTITY))
    nearest = np.floor(apply_affine(matrix, _cell_centres(spec)) + 0.5).astype(np.intp)
    return CropPosition(radius, matrix, crop_view, (nearest[..., 1], nearest[..., 0]))


@functools.lru_cache(maxsize=4)
def _cell_centres(spec: PipelineSpec) -> Array:
    """Return cell centres (x, y) [G, G, 2], px of a crop; callers must not change the array."""
    return pixel_grid(spec.grid, spec.grid, spec.size // spec.grid)


def _map_between(a: PreparedImpression, b: PreparedImpression, points: Array) -> Array:
    """Map points (x, y) of the crop of A to the crop of B through the finger's master."""
    if a.to_master is None or b.to_master is None:
        raise ValueError(f"{a.impression.image_id}: no warp to its master, no pair with another")
    on_master = a.to_master(apply_affine(a.to_original, points))
    return apply_affine(invert_affine(b.to_original), b.to_master.inverse(on_master))
