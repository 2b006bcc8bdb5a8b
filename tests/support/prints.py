"""Prints with known geometry for tests: concentric ridges within an ellipse on a light ground."""

import numpy as np

from pipeline.imaging.warp import pixel_grid


def ridges(
    height, width, light=250, dark=30, centre=None, ellipse=None, period=9.0, core=(0.0, 0.0)
):
    """Image uint8 [height, width] and its finger bool [height, width].

    Dark rings of `period` px around the centre (x, y) plus `core`, within the half axes `ellipse`
    (y, x).
    """
    x, y = np.moveaxis(pixel_grid(height, width), -1, 0)
    cx, cy = centre or ((width - 1) / 2, (height - 1) / 2)
    ry, rx = ellipse or (0.4 * height, 0.38 * width)
    inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
    wave = np.sin(2 * np.pi * np.hypot(x - cx - core[0], y - cy - core[1]) / period)
    ridge = (light + dark) / 2 + (light - dark) / 2 * np.tanh(2 * wave)
    return np.where(inside, ridge, light).round().astype(np.uint8), inside


def finger(seed, height, width, light=250, dark=30, period=9.0):
    """Image uint8 [height, width] of a finger of its own: random ridges about one orientation.

    Band-limited noise stands in for a ridge pattern, so that no two fingers agree anywhere.
    """
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height))
    off = np.arctan2(y, x) - rng.uniform(0, np.pi)
    band = np.exp(-(((np.hypot(x, y) - 1 / period) / 0.012) ** 2) - (np.sin(off) / 0.8) ** 2)
    wave = np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) * band).real
    ridge = (light + dark) / 2 + (light - dark) / 2 * np.tanh(2.5 * wave / wave.std())
    return np.where(ridges(height, width)[1], ridge, light).round().astype(np.uint8)
