"""Prints with known geometry for tests: concentric ridges within an ellipse on a light ground."""

import numpy as np

from pipeline.warp import pixel_grid


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
