"""Traces of sweat: smears of a sliding finger and residue of an earlier touch."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.imaging.warp import pixel_grid
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.generate import synthesize_master
from pipeline.synthesis.sensor import OPTICAL
from pipeline.synthesis.touch import sample_touch
from pipeline.synthesis.traces import (
    Residue,
    Smear,
    TraceParameters,
    add_residue,
    apply_smear,
    sample_residue,
    sample_smear,
)

INNER = (slice(20, -20), slice(20, -20))


def generator():
    return np.random.default_rng(3)


@pytest.fixture
def ridges():
    """Upright ridges of 9 px, float32 [H, W] in [-1, 1]."""
    return np.tile(np.cos(np.arange(180, dtype=np.float32) * 2 * np.pi / 9), (160, 1))


def test_a_slide_across_the_ridges_blurs_them_and_one_along_does_not(ridges):
    across = apply_smear(ridges, Smear(10.0, 0.0), generator())[INNER]
    along = apply_smear(ridges, Smear(10.0, np.pi / 2), generator())[INNER]
    before = ridges[INNER]
    assert np.abs(along - before).max() < 0.02
    assert across.std() < 0.95 * before.std() and np.abs(across - before).max() > 0.5


def test_a_slide_moves_nothing(ridges):
    """The remaining ridges stay in phase: the ground truth holds."""
    smeared = apply_smear(ridges, Smear(6.0, 0.0), generator())[INNER]
    correlation = np.corrcoef(smeared.ravel(), ridges[INNER].ravel())[0, 1]
    for shift in (-1, 1):
        moved = np.roll(ridges, shift, 1)[INNER]
        assert np.corrcoef(smeared.ravel(), moved.ravel())[0, 1] < correlation


def test_a_residue_is_fainter_than_any_touch_and_is_turned(ridges):
    positions = pixel_grid(*ridges.shape).astype(np.float32)
    no_skin = np.full_like(ridges, -9)
    residue = Residue(-0.5, np.pi / 2, (0.0, 0.0))
    inside = add_residue(no_skin, ridges, positions, residue, generator())[INNER]
    assert inside.max() < 1
    flat = inside[:, 20:120]  # a quarter turn makes the upright ridges horizontal
    assert flat.std(0).mean() > 2 * flat.std(1).mean()


def test_pressed_skin_hides_the_residue(ridges):
    positions = pixel_grid(*ridges.shape).astype(np.float32)
    pressed = np.full_like(ridges, 2)
    residue = Residue(-0.3, 0.3, (5.0, 5.0))
    result = add_residue(pressed, ridges, positions, residue, generator())
    assert np.array_equal(result, pressed)


def test_few_touches_have_either():
    rng, parameters, count = generator(), TraceParameters(), 4000
    smears = sum(sample_smear(rng) is not None for _ in range(count)) / count
    residues = sum(sample_residue(rng) is not None for _ in range(count)) / count
    assert abs(smears - parameters.smear_share) < 0.02
    assert abs(residues - parameters.residue_share) < 0.02


def test_a_residue_changes_only_skin_that_does_not_touch():
    master = synthesize_master(5, "synthetic/test", 1)
    touch = replace(sample_touch(generator(), OPTICAL.placement), smear=None, residue=None)
    plain, _ = compute_contact(master, touch, generator())
    stained = replace(touch, residue=Residue(-0.3, 0.4, (10.0, 0.0)))
    changed, _ = compute_contact(master, stained, generator())
    assert (changed >= plain).all() and (changed > plain).any()
    assert np.array_equal(changed[plain > 1], plain[plain > 1])
