"""Maps between clearly correct and clearly wrong are judged by the images."""

from dataclasses import replace

import numpy as np
import pytest
from pairs import make_pairs

from shards.verify.check_correspondence import (
    DEFAULT,
    NO_AGREEMENT,
    MapAgreement,
    check_map,
    is_inconclusive,
    least_gain,
    measure_agreement,
)

FAINT = DEFAULT.floor_flat  # lowest correlation where no shift is better
MEDIUM = (FAINT + DEFAULT.floor_impressions) / 2


@pytest.fixture(scope="module")
def impressions():
    """Make a pair of two impressions."""
    pair = next(pair for pair in make_pairs(20, 3) if pair.genuine)
    return replace(pair, kind="genuine-impressions", noise="none")


def test_a_low_correlation_is_enough_where_no_shift_is_better(impressions):
    assert check_map(impressions, MapAgreement(MEDIUM, MEDIUM, 0.1, -0.2)) is None
    assert check_map(
        impressions, MapAgreement(MEDIUM, MEDIUM + least_gain(impressions) + 0.01, 3.0, 1.0)
    )
    assert check_map(impressions, MapAgreement(FAINT - 0.01, FAINT - 0.01, 0.0, 0.0))


def test_a_flat_peak_may_be_beside_the_map_but_a_sharp_one_not(impressions):
    assert check_map(impressions, MapAgreement(0.40, 0.41, 0.4, 0.0)) is None
    assert "map is off by (0.8, 0.0) px" in str(
        check_map(impressions, MapAgreement(0.40, 0.41 + least_gain(impressions), 0.8, 0.0))
    )


def test_a_small_common_area_needs_a_larger_gain(impressions):
    """A small area agrees better at one of many shifts by chance."""
    visible = np.zeros_like(impressions.visible)
    visible[: len(visible) // 2] = True
    half = replace(impressions, visible=visible)
    small = replace(impressions, visible=visible & (np.indices(visible.shape).sum(0) < 4))
    assert least_gain(half) < 0.2 < least_gain(small)
    agreement = MapAgreement(0.25, 0.45, 3.0, 1.0)
    assert check_map(half, agreement) and check_map(small, agreement) is None


def test_a_degraded_copy_of_one_image_has_no_such_tolerance(impressions):
    genuine = replace(impressions, kind="genuine", noise="dryness")
    assert check_map(genuine, MapAgreement(MEDIUM, MEDIUM, 0.0, 0.0))
    assert check_map(genuine, MapAgreement(0.40, 0.41, 0.4, 0.0))


def test_images_without_agreement_are_inconclusive_for_two_impressions_only(impressions):
    blank = replace(impressions, image_b=np.full_like(impressions.image_b, 200))
    message = check_map(blank, measure_agreement(blank))
    assert message is not None and message.startswith(NO_AGREEMENT)
    assert is_inconclusive(blank, message)
    assert not is_inconclusive(replace(blank, kind="genuine"), message)


def test_images_that_agree_after_a_rotation_are_not_inconclusive(impressions):
    message = check_map(impressions, MapAgreement(0.0, 0.05, 2.0, 1.0))
    assert message is not None and message.startswith("map is wrong")
    assert not is_inconclusive(impressions, message)


def test_a_map_to_another_place_is_wrong(impressions):
    """At most three of a hundred maps to wrong places pass the low floor."""
    rng, passed = np.random.default_rng(0), 0
    for shift in rng.uniform(8, 40, (100, 2)) * rng.choice([-1, 1], (100, 2)):
        wrong = np.clip(impressions.map_ab + shift.astype(np.float32), 0, 127)
        moved = replace(impressions, map_ab=wrong)
        passed += check_map(moved, measure_agreement(moved)) is None
    assert passed <= 3
