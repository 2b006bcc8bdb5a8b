"""Sweat: how a slide smears ridges, and what an earlier touch leaves."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.imaging.warp import pixel_grid
from pipeline.synthesis.generate import synthesize_master
from pipeline.synthesis.impression import contact, sample_touch
from pipeline.synthesis.sensor import OPTICAL
from pipeline.synthesis.traces import (
    RESIDUE_SHARE,
    SMEAR_SHARE,
    Residue,
    Smear,
    sample_residue,
    sample_smear,
    smeared,
    stained,
)


def rng():
    return np.random.default_rng(3)


@pytest.fixture
def ridges():
    """Upright ridges of 9 px, float32 [H, W] in [-1, 1]."""
    return np.tile(np.cos(np.arange(180, dtype=np.float32) * 2 * np.pi / 9), (160, 1))


def test_a_slide_across_the_ridges_blurs_them_and_one_along_does_not(ridges):
    across, along = (
        smeared(ridges, Smear(10.0, angle), rng())[20:-20, 20:-20] for angle in (0.0, np.pi / 2)
    )
    kept = ridges[20:-20, 20:-20]
    assert np.abs(along - kept).max() < 0.02
    assert across.std() < 0.95 * kept.std() and np.abs(across - kept).max() > 0.5


def test_a_slide_moves_nothing(ridges):
    """What is left of the ridges stays in phase: the truth holds."""
    left = smeared(ridges, Smear(6.0, 0.0), rng())[20:-20, 20:-20]
    right = np.corrcoef(left.ravel(), ridges[20:-20, 20:-20].ravel())[0, 1]
    for shift in (-1, 1):
        moved = np.roll(ridges, shift, 1)[20:-20, 20:-20]
        assert np.corrcoef(left.ravel(), moved.ravel())[0, 1] < right


def test_a_residue_is_fainter_than_any_touch_and_lies_where_it_says(ridges):
    at = pixel_grid(*ridges.shape).astype(np.float32)
    nowhere = np.full_like(ridges, -9)
    left = stained(nowhere, ridges, at, Residue(-0.5, np.pi / 2, (0.0, 0.0)), rng())
    inside = left[20:-20, 20:-20]
    assert inside.max() < 1
    flat = inside[:, 20:120]  # a quarter turn lays the upright ridges flat
    assert flat.std(0).mean() > 2 * flat.std(1).mean()


def test_what_is_pressed_hides_the_residue(ridges):
    at = pixel_grid(*ridges.shape).astype(np.float32)
    pressed = np.full_like(ridges, 2)
    assert np.array_equal(
        stained(pressed, ridges, at, Residue(-0.3, 0.3, (5.0, 5.0)), rng()), pressed
    )


def test_few_touches_have_either():
    drawn = rng()
    count = 4000
    smears = sum(sample_smear(drawn) is not None for _ in range(count)) / count
    residues = sum(sample_residue(drawn) is not None for _ in range(count)) / count
    assert abs(smears - SMEAR_SHARE) < 0.02 and abs(residues - RESIDUE_SHARE) < 0.02


def test_traces_change_the_skin_where_they_are_and_nowhere_else():
    master = synthesize_master(5, "synthetic/test", 1)
    touch = replace(sample_touch(rng(), OPTICAL.placement), smear=None, residue=None)
    plain, _ = contact(master, touch, rng())
    stain = replace(touch, residue=Residue(-0.3, 0.4, (10.0, 0.0)))
    changed, _ = contact(master, stain, rng())
    assert (changed >= plain).all() and (changed > plain).any()
    assert np.array_equal(changed[plain > 1], plain[plain > 1])
