"""Precision, recall and reliability of confidences, by cases worked out by hand."""

import numpy as np
import pytest

from train.evaluation import confidence


def results(values, right, visible=True):
    """Results of one pair whose matches have these confidences and are right or 30 px off."""
    right = np.asarray(right, bool)
    return {
        "confidence": np.asarray(values, float)[None],
        "error": np.where(right, 1.0, 30.0)[None],
        "visible": np.broadcast_to(visible, right.shape)[None],
    }


def row_at(rows, threshold):
    return next(row for row in rows if row["threshold"] == threshold)


def test_precision_and_recall_at_thresholds():
    """Ten cells, one without a match; the higher the confidence, the more matches are right."""
    values = [0.9, 0.9, 0.9, 0.7, 0.7, 0.5, 0.5, 0.3, 0.3, 0]
    rows = confidence.precision_recall(results(values, [1, 1, 1, 1, 0, 1, 0, 0, 0, 1]))
    assert row_at(rows, 0.8) == {"threshold": 0.8, "precision": 1, "recall": 0.3}
    assert row_at(rows, 0.6) == {"threshold": 0.6, "precision": 0.8, "recall": 0.4}
    assert row_at(rows, 0) == {"threshold": 0, "precision": 5 / 9, "recall": 0.5}
    assert max(row["threshold"] for row in rows) == 0.88


def test_match_where_nothing_corresponds_is_wrong():
    rows = confidence.precision_recall(results([0.9, 0.9], [1, 1], [True, False]))
    assert row_at(rows, 0.5) == {"threshold": 0.5, "precision": 0.5, "recall": 1}
    assert confidence.precision_recall(results([0.9], [1], False)) == []


def test_calibrated_confidence_has_no_error():
    rng = np.random.default_rng(0)
    values = rng.uniform(0.01, 1, 200_000)
    right = rng.uniform(size=len(values)) < values
    calibrated = confidence.reliability(results(values, right))
    assert len(calibrated) == confidence.DEFAULT.bins
    assert confidence.calibration_error(calibrated) < 0.01
    half_right = right & (np.arange(200_000) % 2 == 0)
    overconfident = confidence.reliability(results(values, half_right))
    assert confidence.calibration_error(overconfident) == pytest.approx(0.25, abs=0.01)


def test_without_matches_there_is_no_curve():
    nothing = results([0, 0], [1, 0])
    assert confidence.reliability(nothing) == []
    assert np.isnan(confidence.calibration_error([]))
