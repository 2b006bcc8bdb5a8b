"""From an image file to the foreground of a finger at 500 ppi, and from there to the crop.

`pipeline.pair` builds the training data with these functions and `model.register` prepares what
it registers with the same ones, so that both see the same pixels. Every step keeps the affine
transform back to the pixels of the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.warp import Array, Warp, apply_affine, compose_affine, pixel_grid
from shards.errors import Fault

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

PPI = 500.0  # the working resolution
SIDE_RANGE = (64, 16384)  # px, what a fingerprint image may measure
PIXELS_MAX = 64_000_000
CELL = 8  # px at 500 ppi, about a ridge period: the resolution of the segmentation
FOREGROUND_MIN = 64 * 64  # px at 500 ppi
COHERENCE_MIN = 0.25  # mean over the foreground; white noise has about 0.1, ridges 0.5 and more
FEATHER = 24  # px at 500 ppi, three ridges: how softly an image ends at its frame


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image at 500 ppi with its foreground."""

    image: Image  # [h, w]
    mask: Mask  # [h, w], true on the finger
    to_original: Array  # [2, 3], px of `image` → px of the file
    centre: tuple[float, float]  # (x, y) px in `image`, of the crop


@dataclass(frozen=True, eq=False)
class Crop:
    """What the network sees of an image."""

    image: Image  # [size, size]
    mask: Mask  # [size, size]
    to_original: Array  # [2, 3], px of the crop → px of the file, where no warp was given


def load(path: Path) -> Image:
    """The 8-bit grey image uint8 [H, W] in the file at `path`, else a Fault that names the file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from error
    return decode(data, str(path))


def decode(data: bytes, name: str) -> Image:
    """The image uint8 [H, W] in the bytes of an image file; `name` is what a Fault calls it."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise Fault(f"{name}: does not decode: {error.err}") from error
    if image is None:
        raise Fault(f"{name}: does not decode as an image; expected PNG, TIFF or BMP, 8-bit grey")
    if image.dtype != np.uint8:
        bits = image.dtype.itemsize * 8
        raise Fault(f"{name}: has {bits} bits a channel; expected 8-bit grey")
    grey = _grey(np.asarray(image, np.uint8), name)
    low, high = SIDE_RANGE
    if min(grey.shape) < low or max(grey.shape) > high or grey.size > PIXELS_MAX:
        height, width = grey.shape
        raise Fault(f"{name}: measures {width}×{height} px; expected {low} to {high} px a side")
    return grey


def prepare(image: Image, ppi: float, name: str = "image") -> Prepared:
    """The image uint8 [H, W] of `ppi` brought to 500 ppi, with its foreground and crop centre.

    The centre is the foreground's centroid; a Fault names an image without foreground.
    """
    image, to_original = to_working_resolution(image, ppi)
    mask = foreground(image, name)
    moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
    centre = (moments["m10"] / moments["m00"], moments["m01"] / moments["m00"])
    return Prepared(image, mask, to_original, centre)


def to_working_resolution(image: Image, ppi: float) -> tuple[Image, Array]:
    """The image at 500 ppi, and the matrix [2, 3] from its px to px of the image given."""
    if ppi == PPI:
        return image, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    scale = ppi / PPI
    size = tuple(max(1, round(extent / scale)) for extent in image.shape[::-1])
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    resized = cv2.resize(image, size, interpolation=method)
    ratio = np.array(image.shape[::-1]) / size  # the rounding to whole px is part of the transform
    matrix = np.hstack([np.diag(ratio), ((ratio - 1) / 2)[:, None]])
    return np.asarray(resized, np.uint8), matrix


def foreground(image: Image, name: str = "image") -> Mask:
    """True where the finger is, bool [h, w], of an image at 500 ppi.

    Averaged gradient magnitude against a fraction of its own high percentile, then closing, the
    largest component, its holes filled, opening (GMFS: Cappelli, "Unveiling the Power of
    Simplicity", IEEE Access 2023), here on cells of a ridge period. What has gradients without a
    common orientation (coherence: Bazen & Gerez, IEEE PAMI 2002) is no finger: a Fault.
    """
    xx, yy, xy = _structure(image)
    magnitude = np.sqrt(xx + yy)
    mask = np.where(magnitude > 0.4 * np.percentile(magnitude, 90), np.uint8(1), np.uint8(0))
    mask = _clean(mask)
    area = int(mask.sum()) * CELL * CELL
    if area < FOREGROUND_MIN:
        raise Fault(f"{name}: no foreground: {area} px at 500 ppi carry ridges; is it a finger?")
    energy = float((xx + yy)[mask > 0].sum())
    coherence = float(np.hypot(xx - yy, 2 * xy)[mask > 0].sum()) / energy
    if coherence < COHERENCE_MIN:
        raise Fault(
            f"{name}: no foreground: its texture has no ridges (coherence {coherence:.2f}, a"
            f" fingerprint has {COHERENCE_MIN} and more)"
        )
    full = cv2.resize(mask * np.uint8(255), image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(full > 127)


def window(prepared: Prepared, radius: int) -> Prepared:
    """The square of 2·radius px around the centre; what lies outside the frame is filled.

    The fill continues the image's own low-pass, and the image fades into it over FEATHER px, so
    that the frame leaves no edge that a network could learn from. The mask ends where the image
    has faded by half.
    """
    height, width = prepared.image.shape
    left, top = (math.floor(c) - radius + 1 for c in prepared.centre)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + 2 * radius, width), min(top + 2 * radius, height)
    image, mask = prepared.image[y0:y1, x0:x1], prepared.mask[y0:y1, x0:x1]
    outside = (y0 - top, top + 2 * radius - y1, x0 - left, left + 2 * radius - x1)
    fade = [
        _fade(n, np.arange(start, start + 2 * radius))
        for n, start in ((width, left), (height, top))
    ]
    if min(f.min() for f in fade) < 256:
        image = np.asarray(cv2.copyMakeBorder(image, *outside, cv2.BORDER_REPLICATE), np.uint8)
        weight = fade[1][:, None] * fade[0] // np.uint32(256)
        image = _blend(image, weight)
        mask = np.pad(mask, (outside[:2], outside[2:])) & (weight >= 128)
    shift = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
    to_original = compose_affine(prepared.to_original, shift)
    return Prepared(image, mask, to_original, (radius - 0.5, radius - 0.5))


def crop_matrix(prepared: Prepared, crop: int, size: int) -> Array:
    """Matrix [2, 3] from px of the crop of `size` px to px of the image; `crop` px at 500 ppi."""
    scale = crop / size
    offset = np.asarray(prepared.centre) - scale * (size - 1) / 2
    return np.hstack([np.eye(2) * scale, offset[:, None]])


def render(image: Image, matrix: Array, size: int, warp: Warp) -> Image:
    """uint8 [size, size]: the output px p shows the image at matrix · warp(p), anti-aliased.

    The prefilter is the Gaussian that takes a blur of half a px before the reduction to half a px
    after it (Lowe, IJCV 2004, section 3.3), the sampling bicubic; every crop is made by it, so
    that sharpness tells nothing.
    """
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if scale > 1:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 * math.sqrt(scale**2 - 1)), np.uint8)
    border = cv2.BORDER_REPLICATE
    if warp.control.size:
        x, y = np.moveaxis(apply_affine(matrix, warp.dense(size, size)).astype(np.float32), -1, 0)
        made = cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=border)
    else:
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        whole = compose_affine(matrix, warp.matrix)
        made = cv2.warpAffine(image, whole, (size, size), flags=flags, borderMode=border)
    return np.asarray(made, np.uint8)


def on_finger(prepared: Prepared, points: Array) -> Mask:
    """True [...] where the points (x, y) [..., 2], px of the image, lie on the foreground."""
    height, width = prepared.mask.shape
    x, y = np.moveaxis(np.floor(np.nan_to_num(points, nan=-1.0) + 0.5).astype(np.int64), -1, 0)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.asarray(inside & prepared.mask[y.clip(0, height - 1), x.clip(0, width - 1)])


def crop(prepared: Prepared, crop: int = 288, size: int = 128, warp: Warp | None = None) -> Crop:
    """The crop of `crop` px at 500 ppi around the centre, `size` px a side, seen through `warp`.

    `warp` maps px of the crop shown to px of the crop without it, where `to_original` starts.
    """
    warp = warp or Warp(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    around = window(prepared, reach(crop))
    matrix = crop_matrix(around, crop, size)
    points = apply_affine(matrix, warp(pixel_grid(size, size)))
    image = render(around.image, matrix, size, warp)
    return Crop(image, on_finger(around, points), compose_affine(around.to_original, matrix))


def reach(crop: int, travel: float = 0.0) -> int:
    """Radius of the window that a crop needs at any angle and a shift of up to `travel` px."""
    return math.ceil(crop / math.sqrt(2) + travel) + 4  # 4: the reach of the filters


def _grey(image: NDArray[np.uint8], name: str) -> Image:
    """The image [H, W], or the one channel of [H, W, 3] whose channels are equal."""
    if image.ndim == 2:
        return image
    channels = image.shape[2]
    if channels == 3 and (image[..., :1] == image[..., 1:]).all():
        return np.ascontiguousarray(image[..., 0])
    raise Fault(f"{name}: has {channels} channels; expected 8-bit grey, or three equal channels")


def _structure(image: Image) -> tuple[NDArray[np.float32], ...]:
    """Structure tensor (xx, yy, xy), each float32 [h / CELL, w / CELL], smoothed over a cell."""
    cells = tuple(max(1, round(extent / CELL)) for extent in image.shape[::-1])
    half = cv2.resize(
        image, (cells[0] * CELL // 2, cells[1] * CELL // 2), interpolation=cv2.INTER_AREA
    )
    gx, gy = (g.astype(np.float32) for g in cv2.spatialGradient(half))
    products = (
        cv2.resize(p, cells, interpolation=cv2.INTER_AREA) for p in (gx * gx, gy * gy, gx * gy)
    )
    return tuple(np.asarray(cv2.GaussianBlur(p, (3, 3), 0), np.float32) for p in products)


def _clean(mask: Image) -> Image:
    """Closing, largest component without holes, opening, largest component; uint8 0 or 1."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc), np.uint8)
    mask = _largest(mask)
    outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.asarray(cv2.drawContours(mask, outline, -1, 1, cv2.FILLED), np.uint8)
    return _largest(
        np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc, iterations=2), np.uint8)
    )


def _largest(mask: Image) -> Image:
    """The largest connected component, uint8 0 or 1; empty where there is none."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return mask
    return (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)


def _fade(extent: int, at: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Weight 0 … 256 of the image at positions along an axis of `extent` px: 0 outside."""
    depth = np.minimum(at + 1, extent - at) / FEATHER
    t = np.clip(depth, 0.0, 1.0)
    return np.round(256 * t * t * (3 - 2 * t)).astype(np.uint32)


def _blend(image: Image, weight: NDArray[np.uint32]) -> Image:
    """The image where weight is 256, its own low-pass where it is 0."""
    side = image.shape[0]
    small = cv2.resize(image, (side // 16, side // 16), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    return ((image * weight + smooth * (256 - weight) + 128) >> 8).astype(np.uint8)
