"""Touches of one synthetic finger for tests, their images, and samples of images at points."""

from dataclasses import replace

import cv2
import numpy as np

from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.encode import resample
from pipeline.synthesis.manner import PLAIN
from pipeline.synthesis.sensor import synthesize_image
from pipeline.synthesis.touch import sample_touch


def sample_touches(style, count, manner=PLAIN, **fields):
    """Sample `count` touches on a sensor, with `fields` replaced."""
    rng = np.random.default_rng(7)
    return [replace(sample_touch(rng, style.placement, manner), **fields) for _ in range(count)]


def render(master, touch, style, seed=0):
    """Return the image, resampled to the touch's px at 500 ppi, and its pressure [H, W]."""
    skin, pressure = compute_contact(master, touch, np.random.default_rng(seed))
    image = synthesize_image(style, skin, pressure, np.random.default_rng(seed))
    return resample(image, 500 / style.ppi, touch.size), pressure


def sample_at(image, points):
    """Sample `image` bicubically at `points` [N, 2]; -9 outside."""
    rows = points.astype(np.float32)
    rows = np.pad(rows, ((0, -len(rows) % 256), (0, 0)))
    x, y = np.ascontiguousarray(np.moveaxis(rows.reshape(-1, 256, 2), -1, 0))  # OpenCV limits rows
    border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": -9}
    samples = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_CUBIC, **border)
    return samples.ravel()[: len(points)]


def correlation_at(image_a, image_b, points, mapped):
    """Correlate image A at `points` with image B at `mapped`, both [N, 2]."""
    return np.corrcoef(sample_at(image_a, points), sample_at(image_b, mapped))[0, 1]


def peak_offset(image_a, image_b, points, mapped, axis):
    """Distance px of the correlation's peak from `mapped` along `axis`, by a parabola."""
    low, middle, high = [
        correlation_at(image_a, image_b, points, mapped + axis * step) for step in (-0.5, 0, 0.5)
    ]
    return 0.25 * (low - high) / (low - 2 * middle + high)
