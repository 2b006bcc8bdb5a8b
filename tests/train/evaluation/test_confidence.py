"""Confidences judged, by cases worked out by hand."""

import numpy as np
import pytest

from train.evaluation import confidence


def results(confidence, right, visible=True):
    right = np.asarray(right, bool)
    return {
        "confidence": np.asarray(confidence, float)[None],
        "error": np.where(right, 1.0, 30.0)[None],
        "visible": np.broadcast_to(visible, right.shape)[None],
    }


def at(rows, threshold):
    return next(row for row in rows if row["threshold"] == threshold)


def test_precision_and_recall_at_thresholds():
    """Ten cells, one not matched; the surer a match, the more often it is right."""
    values = [0.9, 0.9, 0.9, 0.7, 0.7, 0.5, 0.5, 0.3, 0.3, 0]
    rows = confidence.precision_recall(results(values, [1, 1, 1, 1, 0, 1, 0, 0, 0, 1]))
    assert at(rows, 0.8) == {"threshold": 0.8, "precision": 1, "recall": 0.3}
    assert at(rows, 0.6) == {"threshold": 0.6, "precision": 0.8, "recall": 0.4}
    assert at(rows, 0) == {"threshold": 0, "precision": 5 / 9, "recall": 0.5}
    assert max(row["threshold"] for row in rows) == 0.88


def test_match_where_nothing_corresponds_is_wrong():
    rows = confidence.precision_recall(results([0.9, 0.9], [1, 1], [True, False]))
    assert at(rows, 0.5) == {"threshold": 0.5, "precision": 0.5, "recall": 1}
    assert confidence.precision_recall(results([0.9], [1], False)) == []


def test_calibrated_confidence_has_no_error():
    rng = np.random.default_rng(0)
    values = rng.uniform(0.01, 1, 200_000)
    right = rng.uniform(size=len(values)) < values
    honest = confidence.reliability(results(values, right))
    assert len(honest) == confidence.BINS
    assert confidence.calibration_error(honest) < 0.01
    boasting = confidence.reliability(results(values, right & (np.arange(200_000) % 2 == 0)))
    assert confidence.calibration_error(boasting) == pytest.approx(0.25, abs=0.01)


def test_no_matches_no_curve():
    nothing = results([0, 0], [1, 0])
    assert confidence.reliability(nothing) == []
    assert np.isnan(confidence.calibration_error([]))
