"""Fingerprint-like images of known geometry: ridges in an ellipse on a light background."""

import numpy as np

from pipeline.imaging.warp import pixel_grid


def ridges(
    height, width, light=250, dark=30, centre=None, ellipse=None, period=9.0, core=(0.0, 0.0)
):
    """Synthesize concentric ridges.

    Args:
        height, width: px of the image.
        light, dark: greys of valleys and background, and of ridges.
        centre: (x, y) px of the ellipse; the image's centre by default.
        ellipse: half axes (y, x) px; 0.4 and 0.38 of the image by default.
        period: px between ridges.
        core: (x, y) px, the ridges' centre relative to the ellipse's.

    Returns:
        The image uint8 [height, width] and its foreground bool [height, width].
    """
    x, y = np.moveaxis(pixel_grid(height, width), -1, 0)
    cx, cy = centre or ((width - 1) / 2, (height - 1) / 2)
    ry, rx = ellipse or (0.4 * height, 0.38 * width)
    inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
    wave = np.sin(2 * np.pi * np.hypot(x - cx - core[0], y - cy - core[1]) / period)
    ridge = (light + dark) / 2 + (light - dark) / 2 * np.tanh(2 * wave)
    return np.where(inside, ridge, light).round().astype(np.uint8), inside


def finger(seed, height, width, light=250, dark=30, period=9.0):
    """Synthesize a finger of its own: random ridges about one orientation.

    Band-limited noise stands for a ridge pattern, so that no two seeds agree anywhere.

    Returns:
        uint8 [height, width], with the foreground of `ridges`.
    """
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height))
    angle = np.arctan2(y, x) - rng.uniform(0, np.pi)
    band = np.exp(-(((np.hypot(x, y) - 1 / period) / 0.012) ** 2) - (np.sin(angle) / 0.8) ** 2)
    wave = np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) * band).real
    ridge = (light + dark) / 2 + (light - dark) / 2 * np.tanh(2.5 * wave / wave.std())
    return np.where(ridges(height, width)[1], ridge, light).round().astype(np.uint8)
