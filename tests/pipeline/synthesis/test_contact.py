"""Contact: how pressure, dryness and moisture change the ridges of an image."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from touches import render, sample_touches

from pipeline.synthesis.generate import synthesize_master
from pipeline.synthesis.manner import DRY, PLAIN, WET
from pipeline.synthesis.sensor import OPTICAL


@pytest.fixture(scope="module")
def master():
    return synthesize_master(5, "synthetic/test", 1)


def dark_share(master, touch):
    """Share of dark pixels in the middle of an optical image."""
    image, _ = render(master, touch, OPTICAL)
    y, x = touch.size[0] // 2, touch.size[1] // 2
    return (image[y - 70 : y + 70, x - 70 : x + 70] < 128).mean()


def test_pressure_and_moisture_widen_ridges_and_dryness_thins_them(master):
    still = {"dryness": 0.0, "moisture": 0.0, "slope": (0.0, 0.0)}
    plain = sample_touches(OPTICAL, 1, pressure=-0.1, **still)[0]
    share = dark_share(master, plain)
    assert dark_share(master, replace(plain, pressure=0.4)) > share + 0.05
    assert dark_share(master, replace(plain, pressure=-0.6)) < share - 0.05
    assert dark_share(master, replace(plain, moisture=1.0)) > share + 0.03
    assert dark_share(master, replace(plain, dryness=1.0)) < share - 0.05


def test_dryness_breaks_ridges(master):
    pieces = []
    for dryness in (0.0, 1.0):
        touch = sample_touches(OPTICAL, 1, pressure=0.0, moisture=0.0, dryness=dryness)[0]
        dark = render(master, touch, OPTICAL)[0] < 128
        pieces.append(cv2.connectedComponents(dark.astype(np.uint8))[0])
    assert pieces[1] > 1.5 * pieces[0]


def test_dry_touches_are_light_and_wet_ones_dark(master):
    dark = {
        manner.name: np.mean([dark_share(master, t) for t in sample_touches(OPTICAL, 5, manner)])
        for manner in (PLAIN, DRY, WET)
    }
    assert dark["dry"] < 0.75 * dark["plain"] and dark["wet"] > 1.25 * dark["plain"]
