"""The standard deviation of a map: what it depends on, and its place in the files."""

import dataclasses

import numpy as np
import pytest

from model.registration.agreement import Agreement
from model.registration.calibration import UncertaintyWeights
from model.registration.uncertainty import DEFAULT, measure_doubt, standard_deviation

SHAPE = (20, 30)


def agreement(**fields):
    """An agreement of constant fields."""
    constant = {"coarse": 0.8, "support": 10.0, "match_error": 2.0, "opposition": 0.5} | fields
    full = {name: np.full(SHAPE, value, np.float32) for name, value in constant.items()}
    blank = np.zeros(SHAPE, np.float32)
    common = np.ones(SHAPE, bool)
    return Agreement(common=common, ridges=blank, fine=blank, explained=np.zeros(0, bool), **full)


WEIGHTS = UncertaintyWeights(0.5, 0.4, 0.3, 0.2, 0.1)


@pytest.mark.parametrize(
    "worse", [{"coarse": 0.2}, {"support": 1.0}, {"match_error": 6.0}, {"opposition": 5.0}]
)
def test_it_rises_with_every_doubt(worse):
    before = standard_deviation(agreement(), WEIGHTS)
    assert (standard_deviation(agreement(**worse), WEIGHTS) > before).all()


def test_without_weights_of_doubts_it_is_constant():
    constant = UncertaintyWeights(np.log(0.7), 0, 0, 0, 0)
    np.testing.assert_allclose(standard_deviation(agreement(), constant), 0.7, rtol=1e-6)


def test_it_is_larger_beyond_the_common_area():
    half = np.arange(SHAPE[1]) < 15
    inside = dataclasses.replace(agreement(), common=np.broadcast_to(half, SHAPE))
    sigma = standard_deviation(inside, WEIGHTS)
    np.testing.assert_allclose(sigma[:, 15:], DEFAULT.beyond * sigma[0, 0], rtol=1e-6)
    np.testing.assert_allclose(sigma[:, :15], sigma[0, 0])


def test_it_is_finite_whatever_the_fields():
    for coarse in (-1.0, 1.0):
        worst = agreement(coarse=coarse, support=0.0, match_error=9.0, opposition=1e4)
        assert np.isfinite(measure_doubt(worst)).all()
    steep = UncertaintyWeights(1e6, 0, 0, 0, 0)
    assert standard_deviation(agreement(), steep).max() == pytest.approx(DEFAULT.sigma_range[1])


@pytest.mark.parametrize("name", ["dissimilarity", "isolation", "match_error", "opposition"])
def test_negative_weights_are_refused(name):
    with pytest.raises(ValueError, match="at least 0"):
        dataclasses.replace(WEIGHTS, **{name: -0.1})


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
def test_unusable_weights_are_refused(value):
    with pytest.raises(ValueError, match="at most"):
        dataclasses.replace(WEIGHTS, offset=value)
