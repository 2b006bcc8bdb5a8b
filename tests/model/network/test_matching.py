"""Match probabilities against their formula, and the positions of matches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from model.network.config import ModelConfig
from model.network.grid import centres
from model.network.matching import Matcher, Matches, Refiner, best_partners, neighbourhood
from model.network.net import create

CONFIG = ModelConfig(
    image_size=32,
    stem_channels=8,
    stage_channels=(8, 8),
    blocks=1,
    width=16,
    layers=1,
    heads=2,
    mlp=16,
)
G, N = CONFIG.cells, CONFIG.cells**2


@pytest.fixture(scope="module")
def cells():
    """Features of the cells of two pairs."""
    return np.random.default_rng(0).normal(size=(4, N, CONFIG.width)).astype(np.float32)


@pytest.fixture(scope="module")
def matches(cells):
    return Matcher(CONFIG, nnx.Rngs(0))(cells)


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_probability_is_the_product_of_softmaxes_and_matchabilities(matches):
    """Not its root: the probability that each of the two cells chooses the other."""
    similarity, m_a, m_b = (
        np.asarray(x, np.float64)
        for x in (matches.similarity, matches.matchable_a, matches.matchable_b)
    )
    both = softmax(similarity, 2) * softmax(similarity, 1)
    expected = sigmoid(m_a)[:, :, None] * sigmoid(m_b)[:, None] * both
    np.testing.assert_allclose(np.exp(matches.log_match), expected, rtol=1e-4)


def test_probabilities_of_a_cell_add_up_to_its_matchability_at_most(matches):
    probability = np.exp(matches.log_match)
    for axis, logit in ((2, matches.matchable_a), (1, matches.matchable_b)):
        assert (probability.sum(axis) <= sigmoid(np.asarray(logit)) + 1e-6).all()


def test_similarity_is_a_scaled_cosine(cells):
    """Of the first half of the cells with the second; equal features give the scale."""
    matcher = Matcher(CONFIG, nnx.Rngs(0))
    a, b = cells[:2], cells[2:].copy()
    b[0, 3], b[1, 7] = a[0, 5], a[1, 2]
    similarity, scale = matcher(np.concatenate([a, b])).similarity, jnp.exp(matcher.log_scale[...])
    assert np.abs(similarity).max() <= scale * 1.0001
    equal = np.argwhere(np.asarray(similarity) > scale * 0.9999)
    np.testing.assert_array_equal(equal, [[0, 5, 3], [1, 2, 7]])


def test_swapped_images_transpose_the_matches(cells, matches):
    swapped = Matcher(CONFIG, nnx.Rngs(0))(np.roll(cells, 2, 0))
    np.testing.assert_allclose(
        swapped.log_match.swapaxes(1, 2), matches.log_match, atol=1e-4, rtol=1e-4
    )


def test_best_is_mutual_where_both_choose_each_other():
    """Cells 0 and 1 of A both choose cell 2 of B, which chooses 1; cell 2 of A and 0 of B agree."""
    probability = np.array([[[0.1, 0.05, 0.3], [0.1, 0.2, 0.4], [0.6, 0.1, 0.2]]], np.float32)
    index, log_probability, mutual = best_partners(jnp.log(probability))
    np.testing.assert_array_equal(index, [[2, 2, 0]])
    np.testing.assert_allclose(np.exp(log_probability), [[0.3, 0.4, 0.6]], rtol=1e-5)
    np.testing.assert_array_equal(mutual, [[False, True, True]])


def test_neighbourhood_is_the_nine_cells_around():
    index = np.random.default_rng(2).integers(0, N, (1, N))
    padded = np.pad(np.arange(N).reshape(G, G), 1, "edge")
    around = neighbourhood(jnp.asarray(index), G)
    for i, (row, column) in enumerate(zip(*np.divmod(index[0], G), strict=True)):
        np.testing.assert_array_equal(
            around[0, :, i], padded[row : row + 3, column : column + 3].ravel()
        )


def test_values_of_chosen_cells_are_those_of_all(matches):
    index = np.random.default_rng(5).integers(0, N, (2, 3, N))
    pair, cell = np.arange(2)[:, None, None], np.arange(N)
    chosen = np.asarray(matches.similarity)[pair, cell, index]
    np.testing.assert_allclose(matches.similarity_at(index), chosen, atol=1e-5)
    chosen = np.asarray(matches.log_match)[pair, cell, index][:, 0]
    np.testing.assert_allclose(matches.log_match_at(index[:, 0]), chosen, atol=1e-5)


def matches_of(similarity):
    """Matches of one pair with a given similarity; everything else is zero."""
    zero, features = jnp.zeros((1, N)), jnp.zeros((1, N, CONFIG.width))
    return Matches(similarity, jnp.eye(N)[None], zero, zero, features, features)


def test_refined_points_are_px_in_the_cells_of_b():
    """Without an offset they are the centre; a bias set by hand moves them."""
    refiner = Refiner(CONFIG, nnx.Rngs(0))
    index = np.random.default_rng(3).integers(0, N, (1, N))
    matches = matches_of(jnp.zeros((1, N, N)))
    centre = np.asarray(centres(G, CONFIG.stride))[index]
    np.testing.assert_allclose(refiner(matches, index), centre, atol=1e-5)
    step = np.array([1.5, -3.0], np.float32)
    refiner.offset.bias[...] = jnp.arctanh(step / (1.5 * CONFIG.stride))
    np.testing.assert_allclose(refiner(matches, index), centre + step, atol=1e-4)


def test_refinement_can_follow_the_similarity():
    """One hidden unit with the similarity of the cell to the right, added along x."""
    refiner = Refiner(CONFIG, nnx.Rngs(0))
    right = 2 * CONFIG.width + 5
    refiner.hidden.kernel[...] = jnp.zeros(refiner.hidden.kernel.shape).at[right, 0].set(1)
    refiner.offset.kernel[...] = jnp.zeros((CONFIG.width, 2)).at[0, 0].set(1)
    index = np.full((1, N), 3 * G + 2)
    similarity = jnp.zeros((1, N, N)).at[0, 5, 3 * G + 3].set(0.5)
    moved = refiner(matches_of(similarity), index) - centres(G, CONFIG.stride)[index]
    expected = np.zeros((1, N, 2))
    expected[0, 5, 0] = np.tanh(0.5) * 1.5 * CONFIG.stride
    np.testing.assert_allclose(moved, expected, atol=1e-4)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def output(request):
    """Matches and correspondences of random images in either compute dtype."""
    config = dataclasses.replace(CONFIG, compute_dtype=request.param)
    graph, state = nnx.split(create(config, 0))
    images = np.random.default_rng(4).integers(0, 256, (2, 2, 32, 32), np.uint8)

    @jax.jit
    def run(a, b):
        net = nnx.merge(graph, state)
        matches = net(a, b)
        return matches, net.correspond(matches)

    return run(*images)


def test_output_is_float32_for_any_compute_dtype(output):
    matches, correspondences = output
    assert {x.dtype for x in jax.tree.leaves(matches)} == {jnp.dtype("float32")}
    assert correspondences.points.dtype == correspondences.confidence.dtype == jnp.float32
    assert correspondences.mutual.dtype == bool


def test_correspondences_are_the_best_matches(output):
    matches, correspondences = output
    probability = np.exp(matches.log_match)
    assert correspondences.points.shape == (2, N, 2)
    np.testing.assert_allclose(correspondences.confidence, probability.max(2), rtol=1e-5)
    choice = np.asarray(matches.log_match).argmax(2)
    off = np.abs(correspondences.points - np.asarray(centres(G, CONFIG.stride))[choice]).max()
    assert off <= 1.5 * CONFIG.stride
