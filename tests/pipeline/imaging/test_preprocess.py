"""Resampling to the working resolution."""

import math

import numpy as np
import pytest
from prints import ridges

from pipeline.imaging import preprocess
from pipeline.imaging.warp import apply_affine, pixel_grid
from shards.foundation.errors import Fault

GOOD = ridges(200, 200)[0]


@pytest.mark.parametrize("ppi", [569.0, 1000.0, 2000.0, 300.0])
def test_resampling_moves_no_point(ppi):
    """The centroid of a blob at 500 ppi maps to the blob's centre in the file."""
    scale = ppi / 500
    centre = np.array([211.3, 148.9])
    grid = pixel_grid(300, 401)
    blob = 200 * np.exp(-((grid - centre) ** 2).sum(-1) / (2 * (6 * scale) ** 2))
    small, to_original = preprocess.to_working_resolution(np.rint(blob).astype(np.uint8), ppi)
    weight = small.astype(float)[..., None]
    centroid = (pixel_grid(*small.shape) * weight).sum((0, 1)) / weight.sum()
    assert np.abs(apply_affine(to_original, centroid) - centre).max() < 0.05
    assert small.shape == (round(300 / scale), round(401 / scale))


def test_ridge_period_of_a_569_ppi_image_at_500_ppi():
    """9 px at 500 ppi are 10.24 px at 569 ppi, and 9 px again after resampling."""
    x = np.arange(1024)
    image = np.tile(np.rint(127 + 100 * np.sin(2 * np.pi * x * 500 / 569 / 9)), (64, 1))
    small, _ = preprocess.to_working_resolution(image.astype(np.uint8), 569.0)
    row = small[30].astype(float) - small[30].mean()
    crossings = np.flatnonzero((row[:-1] < 0) & (row[1:] >= 0))
    assert np.diff(crossings).mean() == pytest.approx(9, abs=0.03)


@pytest.mark.parametrize("ppi", [0.0, math.nan, 5080.0])
def test_implausible_resolution_is_rejected(ppi):
    with pytest.raises(Fault, match=r"a\.tif: has a resolution of"):
        preprocess.prepare(GOOD, ppi, "a.tif")
