"""Synthesis of one training pair with its ground truth.

The order of steps is that of IFViT (arXiv 2404.08237, section on the dense registration data).
Image A is the crop of an impression. Image B is the crop of the same or another impression, which
is first degraded at 500 ppi and then warped (rotation, shift, stretch, elastic deformation). Both
are resampled to the size of the network's input in the last step.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline import degradation
from pipeline.imaging import cropping, polarity, preprocess
from pipeline.imaging.file import Image, ImageFile
from pipeline.imaging.foreground import Mask
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.preprocess import SegmentedImage
from pipeline.imaging.resample import view
from pipeline.imaging.warp import (
    Array,
    Warp,
    apply_affine,
    compose_affine,
    invert_affine,
)
from pipeline.impression import Impression
from pipeline.pair_geometry import (
    DEFAULT,
    PairParameters,
    cell_centres,
    crop_position,
    map_through,
    sample_warp,
)
from pipeline.spec import PipelineSpec
from shards.record import Pair

Trace = list[tuple[str, Image]]  # (name, image) of each stage, for `python -m pipeline show`

# Stages: the last part of the address of a random generator.
PARTNER, NOISE, GEOMETRY, CENTRE = 0, 1, 2, 3


@dataclass(frozen=True, eq=False)
class CroppedImpression:
    """An impression that was decoded once, for all pairs that it is part of.

    Attributes:
        impression: identity and resolution.
        window: foreground at 500 ppi, cut to the window that contains every crop.
        crop_image: uint8 [size, size], the crop without degradation and warp: image A.
        to_original: float64 [2, 3], px of that crop → px of the file.
        polarity: of the file, as far as its background shows; the pixels are as in the file.
        cells_on_finger: bool [G, G], True where the centre of the crop's cell is on the foreground.
        to_master: warp from px of the file to px of the finger's master; None where unknown.
    """

    impression: Impression
    window: SegmentedImage
    crop_image: Image
    to_original: Array
    polarity: Polarity
    cells_on_finger: Mask
    to_master: Warp | None


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
    image: ImageFile,
    to_master: Warp | None,
    spec: PipelineSpec,
    trace: Trace | None = None,
    parameters: PairParameters = DEFAULT,
) -> CroppedImpression:
    """Find the foreground of an image and cut its window and its crop.

    Args:
        impression: identity and resolution of the image.
        image: the image file, or the synthesized image as one.
        to_master: warp from px of the file to px of the finger's master, where known.
        spec: settings of the set.
        trace: receives the image of each stage.
        parameters: geometry of the warp, on which the size of the window depends.

    Raises:
        Fault: the image has no foreground, or its size or resolution is not plausible.
    """
    prepared = preprocess.prepare_file(image, impression.ppi, str(impression.path))
    prepared = cropping.sample_centre(prepared, spec.crop, _centre_rng(impression, spec.seed))
    position = crop_position(spec, parameters)
    window = cropping.window(prepared, position.radius)
    crop_image = position.view.render(window.image[position.view.part])
    if trace is not None:
        foreground = np.where(prepared.mask, prepared.image, prepared.image // 3)
        trace += [("file", image.upright), ("foreground at 500 ppi", foreground)]
        trace += [("window", window.image), ("A", crop_image)]
    cells_on_finger = window.mask[position.cell_pixels]
    to_original = compose_affine(window.to_original, position.matrix)
    shown = polarity.polarity(prepared)
    return CroppedImpression(
        impression, window, crop_image, to_original, shown, cells_on_finger, to_master
    )


def make_pair(
    a: CroppedImpression,
    b: CroppedImpression,
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
    matrix = crop_position(spec, parameters).matrix
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


def _centre_rng(impression: Impression, seed: int) -> np.random.Generator:
    """Return the generator of the position of an image's crop, the same in all of its pairs."""
    partition = zlib.crc32(impression.partition.encode())
    image_id = zlib.crc32(impression.image_id.encode("utf-8", "surrogateescape"))
    return _generator(seed, partition, image_id, CENTRE)


def _generator(*address: int) -> np.random.Generator:
    """Return numpy.random.default_rng(address); 32-bit words as an array make it start faster."""
    fits_words = max(address) < 2**32
    return np.random.default_rng(np.array(address, np.uint32) if fits_words else list(address))


def _ground_truth(
    a: CroppedImpression,
    b: CroppedImpression,
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
    cells = cell_centres(spec)
    if kind == "impostor":
        return np.full(cells.shape, np.nan, np.float32), np.zeros(cells.shape[:2], np.bool_)
    if kind == "genuine":
        in_crop_b, on_both = cells, a.cells_on_finger
    else:
        in_crop_b = _map_between(a, b, cells)
        in_window_b = apply_affine(crop_position(spec, parameters).matrix, in_crop_b)
        on_both = a.cells_on_finger & cropping.on_finger(b.window, in_window_b)
    positions, in_image = map_through(warp, in_crop_b, spec, parameters)
    visible = in_image & on_both
    return np.where(visible[..., None], positions, np.nan).astype(np.float32), visible


def _map_between(a: CroppedImpression, b: CroppedImpression, points: Array) -> Array:
    """Map points (x, y) of the crop of A to the crop of B through the finger's master."""
    if a.to_master is None or b.to_master is None:
        raise ValueError(f"{a.impression.image_id}: no warp to its master, no pair with another")
    on_master = a.to_master(apply_affine(a.to_original, points))
    return apply_affine(invert_affine(b.to_original), b.to_master.inverse(on_master))
