"""The fits of the score and of the uncertainty, by samples whose truth is known."""

import numpy as np
import pytest

from model.registration.calibration import logistic
from model.registration.evidence import Evidence
from train.evaluation.score_fit import ScoreFitParameters, fit_score
from train.evaluation.uncertainty_fit import fit_uncertainty

COUNT = len(Evidence._fields)
UNPENALISED = ScoreFitParameters(penalty=1e-6)


def pairs(size, floor=0.0):
    """Evidence: the first two numbers decide, the third misleads, and the rest is chance."""
    rng = np.random.default_rng(1)
    evidence = rng.normal(size=(size, COUNT))
    odds = 0.3 + 2 * evidence[:, 0] + evidence[:, 1] - 0.5 * evidence[:, 2]
    genuine = rng.random(size) < floor + (1 - floor) * logistic(odds)
    return evidence, genuine


def test_weights_are_recovered_and_never_negative():
    weights = fit_score(*pairs(20_000), UNPENALISED)
    assert weights.correlation == pytest.approx(1.9, abs=0.15)
    assert weights.weakest == pytest.approx(0.95, abs=0.12)
    assert weights.unbent == 0  # by the truth it is negative
    assert weights.floor < 0.01


def test_floor_is_recovered():
    """Of 20,000 pairs in equal numbers, a tenth of what speaks for nothing is genuine."""
    evidence, genuine = pairs(20_000, floor=0.1)
    weights = fit_score(4 * evidence, genuine, UNPENALISED)
    assert weights.floor == pytest.approx(0.1, abs=0.03)
    assert weights.probability(np.full(COUNT, -50.0)) == pytest.approx(weights.floor)


def test_pairs_that_are_separable_give_finite_weights():
    genuine = np.arange(20) < 10
    evidence = np.where(genuine[:, None], 1.0, -1.0) * np.ones(COUNT)
    weights = fit_score(evidence, genuine)
    assert 0.5 < weights.probability(np.ones(COUNT)) < 1


@pytest.mark.parametrize("labels", [[True, True], [False, False]])
def test_pairs_of_one_kind_are_refused(labels):
    with pytest.raises(ValueError, match="expected some of both"):
        fit_score(np.zeros((2, COUNT)), np.array(labels))


def test_evidence_that_speaks_for_the_other_kind_is_refused():
    evidence, genuine = pairs(500)
    with pytest.raises(ValueError, match="one of them above"):
        fit_score(-np.abs(np.sign(evidence)) * genuine[:, None], genuine)


def test_standard_deviation_is_recovered():
    """Normal errors whose deviation is a known power of the first doubt; others do not matter."""
    rng = np.random.default_rng(2)
    doubts = rng.uniform(-1, 1, (20_000, 4))
    sigma = 0.6 * np.exp(0.8 * doubts[:, 0])
    errors = rng.normal(size=(20_000, 2)) * sigma[:, None]
    errors[::500] = 12  # a ridge beside
    weights = fit_uncertainty(doubts, errors)
    assert np.exp(weights.offset) == pytest.approx(0.6, rel=0.06)
    assert weights.dissimilarity == pytest.approx(0.8, abs=0.06)
    assert max(weights.isolation, weights.match_error, weights.opposition) < 0.03


def test_no_errors_are_refused():
    with pytest.raises(ValueError, match="known truth"):
        fit_uncertainty(np.zeros((0, 4)), np.zeros((0, 2)))
