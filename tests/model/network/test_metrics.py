"""Accuracy of correspondences against cases computed by hand."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from model.network import metrics
from model.network.grid import centres
from model.network.matching import Correspondences

CELLS, STRIDE, SCALE = 8, 4, 2.25
N = CELLS * CELLS
SOURCE = np.asarray(centres(CELLS, STRIDE))


def rigid(angle, shift=(0.0, 0.0), points=SOURCE):
    c, s = np.cos(angle), np.sin(angle)
    return (points @ np.array([[c, -s], [s, c]]).T + shift).astype(np.float32)


def make_matches(points, confidence=1.0, mutual=True):
    """Correspondences of a batch of points [B, N, 2]."""
    shape = points.shape[:2]
    return Correspondences(
        jnp.asarray(points, jnp.float32),
        jnp.broadcast_to(jnp.asarray(confidence, jnp.float32), shape),
        jnp.broadcast_to(jnp.asarray(mutual), shape),
    )


class FixedNet:
    """Stand-in for the network with given correspondences."""

    config = SimpleNamespace(cells=CELLS, stride=STRIDE)

    def __init__(self, matches):
        self.matches = matches

    def __call__(self, image_a, image_b):
        return self.matches

    def correspond(self, matches):
        return matches


def evaluate(matches, truth, visible, genuine=True):
    count = len(truth)
    batch = {
        "image_a": None,
        "image_b": None,
        "map_ab": jnp.asarray(truth.reshape(count, CELLS, CELLS, 2)),
        "visible": jnp.asarray(visible.reshape(count, CELLS, CELLS)),
        "genuine": jnp.full(count, genuine),
    }
    result = metrics.evaluate_batch(FixedNet(matches), batch, SCALE)
    return {name: np.asarray(value) for name, value in result.items()}


@pytest.fixture(scope="module")
def accuracy():
    """Result for a genuine pair rotated by 0.3 rad; its cells err by 0, 0.5, 1 and 4 px."""
    truth = rigid(0.3, (5, -3))[None]
    error = np.repeat([0.0, 0.5, 1.0, 4.0], N // 4).astype(np.float32)
    points = truth + np.stack([0 * error, error], -1)[None]
    visible = np.ones((1, N), bool)
    visible[0, :8] = False  # of the sixteen cells without error
    points[0, 0] = 0  # a hidden cell
    truth = np.where(visible[..., None], truth, np.nan)
    confidence, mutual = np.full((1, N), 0.9), np.ones((1, N), bool)
    confidence[0, 8:12], mutual[0, 12:16] = 0.1, False
    return evaluate(make_matches(points, confidence, mutual), truth, visible)


def test_errors_are_in_px_at_500_ppi(accuracy):
    """A pixel of the image is 2.25 px at 500 ppi."""
    expected = np.repeat([0.0, 0.5, 1.0, 4.0], N // 4)[None] * SCALE
    np.testing.assert_allclose(accuracy["error"][:, 8:], expected[:, 8:], atol=1e-4)


def test_kept_matches_are_mutual_and_confident(accuracy):
    np.testing.assert_array_equal(np.flatnonzero(~accuracy["kept"][0]), np.arange(8, 16))
    np.testing.assert_array_equal(np.flatnonzero(~accuracy["visible"][0]), np.arange(8))


def test_rotation_error_is_that_of_the_agreed_motion(accuracy):
    """The rotation of the truth is fitted to its visible cells alone."""
    truth = rigid(0.3)[None]
    result = evaluate(make_matches(rigid(0.5)[None]), truth, np.ones((1, N), bool))
    np.testing.assert_allclose(result["rotation_error"], 0.2, atol=1e-4)
    assert np.degrees(accuracy["rotation_error"]).max() < 10


def test_score_counts_matches_within_a_ridge_period():
    """At 500 ppi, not in px of the image: matches with an error of 22 px do not agree."""
    truth, direction = rigid(0.3)[None], np.random.default_rng(0).uniform(0, 2 * np.pi, N)
    error = np.where(np.arange(N) % 2, 10, 0) * np.stack([np.cos(direction), np.sin(direction)])
    result = evaluate(make_matches(truth + error.T), truth, np.ones((1, N), bool))
    assert result["score"][0] == pytest.approx(0.5, abs=0.02)


def test_rotation_error_is_at_most_180_degrees():
    truth = rigid(np.pi - 0.05)[None]
    result = evaluate(make_matches(rigid(-np.pi + 0.05)[None]), truth, np.ones((1, N), bool))
    np.testing.assert_allclose(result["rotation_error"], 0.1, atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0, np.pi])
def test_fit_rigid_is_exact(angle):
    """Also with points without weight at wrong positions."""
    points, weight = rigid(angle, (7, -4))[None].copy(), np.ones((1, N), np.float32)
    points[0, :10], weight[0, :10] = 1000, 0
    turn, shift = metrics.fit_rigid(SOURCE, points, weight)[0]
    assert abs(turn - np.exp(1j * angle)) < 1e-5
    assert abs(shift - (7 - 4j)) < 1e-3


def test_fit_rigid_without_weight_does_not_turn():
    turn, shift = metrics.fit_rigid(SOURCE, rigid(1.0)[None], np.zeros((1, N), np.float32))[0]
    assert turn == 1 and np.isfinite(shift)


@pytest.fixture(scope="module")
def scores():
    """Scores and motions of matches that all agree, of which half and all are random, and of
    matches without confidence; and the share that agrees in the second case."""
    rng = np.random.default_rng(0)
    truth, random = rigid(0.6, (4, 4)), rng.uniform(0, CELLS * STRIDE, (N, 2))
    half = np.where(rng.random((N, 1)) < 0.5, truth, random + 100)
    matches = make_matches(
        np.stack([truth, half, 10 * random, truth]),
        confidence=np.array([[1.0], [1.0], [1.0], [0.0]]),
    )
    score, motion = metrics.rigid_consistency(SOURCE, matches, metrics.DEFAULT.tolerance / SCALE)
    return np.asarray(score), np.asarray(motion), (half == truth).all(1).mean()


def test_matches_that_agree_on_a_motion_score_one(scores):
    score, motion, _ = scores
    assert score[0] == pytest.approx(1)
    assert abs(motion[0, 0] - np.exp(0.6j)) < 1e-4


def test_score_is_the_share_that_agrees(scores):
    score, motion, share = scores
    assert score[1] == pytest.approx(share, abs=0.02)
    assert abs(motion[1, 0] - np.exp(0.6j)) < 1e-3


def test_random_and_improbable_matches_score_almost_zero(scores):
    score, motion, _ = scores
    assert score[2] < 0.1
    assert score[3] == 0 and np.isfinite(motion).all()


def test_matches_that_are_not_mutual_score_zero():
    score, _ = metrics.rigid_consistency(SOURCE, make_matches(rigid(0.6)[None], mutual=False), 4.0)
    np.testing.assert_array_equal(score, 0)


def test_impostors_without_matches_have_finite_scores():
    """None of the cells is visible or kept."""
    result = evaluate(
        make_matches(rigid(0.1)[None], confidence=0.01),
        np.full((1, N, 2), np.nan, np.float32),
        np.zeros((1, N), bool),
        genuine=False,
    )
    assert not result["visible"].any() and not result["kept"].any()
    assert np.isfinite(result["score"]).all() and np.isfinite(result["rotation_error"]).all()
