"""What the agreement of two images with their map says, in the cases between right and wrong."""

from dataclasses import replace

import numpy as np
import pytest
from pairs import make_pairs

from shards.verify.check_correspondence import (
    FAINT,
    IMPRESSIONS_FLOOR,
    SILENCE,
    Agreement,
    fault_of,
    flatness,
    is_silent,
    measure,
)

MIDDLING = (FAINT + IMPRESSIONS_FLOOR) / 2


@pytest.fixture(scope="module")
def impressions():
    """A pair of two impressions."""
    pair = next(pair for pair in make_pairs(20, 3) if pair.genuine)
    return replace(pair, kind="genuine-impressions", noise="none")


def test_faint_agreement_is_enough_where_no_shift_makes_it_better(impressions):
    assert fault_of(impressions, Agreement(MIDDLING, MIDDLING, 0.1, -0.2)) is None
    assert fault_of(
        impressions, Agreement(MIDDLING, MIDDLING + flatness(impressions) + 0.01, 3.0, 1.0)
    )
    assert fault_of(impressions, Agreement(FAINT - 0.01, FAINT - 0.01, 0.0, 0.0))


def test_a_flat_peak_may_lie_beside_the_map_and_a_sharp_one_not(impressions):
    assert fault_of(impressions, Agreement(0.40, 0.41, 0.4, 0.0)) is None
    assert "map is off by (0.8, 0.0) px" in str(
        fault_of(impressions, Agreement(0.40, 0.41 + flatness(impressions), 0.8, 0.0))
    )


def test_a_sliver_in_common_says_less_than_half_a_print(impressions):
    """What little is in common agrees by chance, with one shift of many more than with another."""
    visible = np.zeros_like(impressions.visible)
    visible[: len(visible) // 2] = True
    half = replace(impressions, visible=visible)
    sliver = replace(impressions, visible=visible & (np.indices(visible.shape).sum(0) < 4))
    assert flatness(half) < 0.2 < flatness(sliver)
    found = Agreement(0.25, 0.45, 3.0, 1.0)
    assert fault_of(half, found) and fault_of(sliver, found) is None


def test_none_of_this_is_allowed_to_one_image_twice(impressions):
    genuine = replace(impressions, kind="genuine", noise="dryness")
    assert fault_of(genuine, Agreement(MIDDLING, MIDDLING, 0.0, 0.0))
    assert fault_of(genuine, Agreement(0.40, 0.41, 0.4, 0.0))


def test_two_impressions_may_say_nothing_and_one_image_twice_may_not(impressions):
    blank = replace(impressions, image_b=np.full_like(impressions.image_b, 200))
    fault = fault_of(blank, measure(blank))
    assert fault is not None and fault.startswith(SILENCE)
    assert is_silent(blank, fault)
    assert not is_silent(replace(blank, kind="genuine"), fault)


def test_images_that_agree_elsewhere_are_not_silent(impressions):
    fault = fault_of(impressions, Agreement(0.0, 0.05, 2.0, 1.0))
    assert fault is not None and fault.startswith("map is wrong")
    assert not is_silent(impressions, fault)


def test_a_map_of_elsewhere_has_no_peak_at_itself(impressions):
    """Of a hundred maps of wrong places, the faint agreement lets through hardly any."""
    rng, passed = np.random.default_rng(0), 0
    for shift in rng.uniform(8, 40, (100, 2)) * rng.choice([-1, 1], (100, 2)):
        wrong = np.clip(impressions.map_ab + shift.astype(np.float32), 0, 127)
        moved = replace(impressions, map_ab=wrong)
        passed += fault_of(moved, measure(moved)) is None
    assert passed <= 3
