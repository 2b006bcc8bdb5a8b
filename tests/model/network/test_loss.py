"""The loss for given matches, and its gradient on a tiny network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from training import MODEL

from model.network.grid import centres
from model.network.loss import DEFAULT, loss
from model.network.matching import Matches
from model.network.net import create

G, N, STRIDE = MODEL.cells, MODEL.cells**2, MODEL.stride
B = 4


class FixedNet:
    """Stand-in for the network with given matches and refined points."""

    config = MODEL

    def __init__(self, matches, points):
        self.matches, self.points = matches, points

    def __call__(self, image_a, image_b):
        return self.matches

    def refine(self, matches, index):
        return self.points


def make_batch(visible=None):
    """Pairs that differ by a shift of one cell along x and three quarters along y."""
    rng = np.random.default_rng(0)
    true = np.add(centres(G, STRIDE), [STRIDE, 0.75 * STRIDE])
    inside = (true < G * STRIDE - 0.5).all(-1)
    if visible is None:
        visible = np.broadcast_to(inside, (B, N)) & (rng.random((B, N)) < 0.8)
    true = np.where(visible[..., None], true, np.nan)  # as records have it
    return {
        "image_a": rng.integers(0, 256, (B, 32, 32), np.uint8),
        "image_b": rng.integers(0, 256, (B, 32, 32), np.uint8),
        "map_ab": true.reshape(B, G, G, 2).astype(np.float32),
        "visible": visible.reshape(B, G, G),
        "genuine": np.ones(B, bool),
    }


def matches_of(similarity, matchable_a, matchable_b):
    identity = jnp.broadcast_to(jnp.eye(N), similarity.shape)  # its products are the similarity
    features = jnp.zeros((*similarity.shape[:2], 1))
    return Matches(similarity, identity, matchable_a, matchable_b, features, features)


@jax.jit
def fixed_loss(similarity, matchable_a, matchable_b, points, batch):
    net = FixedNet(matches_of(similarity, matchable_a, matchable_b), points)
    return loss(net, batch)


@pytest.fixture(scope="module")
def random_output():
    """Random similarity, matchability of A and of B, and points."""
    rng = np.random.default_rng(1)
    shapes = ((B, N, N), (B, N), (B, N), (B, N, 2))
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def truth(batch):
    """The ideal output for pairs of `make_batch`."""
    visible = batch["visible"].reshape(B, N)
    target = np.arange(N) + G + 1  # the next row and column
    hit = np.zeros((B, N + G + 1), bool)
    for pair_visible, pair_hit in zip(visible, hit, strict=True):
        pair_hit[target[pair_visible]] = True
    similarity = 40.0 * (np.arange(N) == target[:, None])
    points = np.nan_to_num(batch["map_ab"]).reshape(B, N, 2)
    logits = [np.where(x, 20.0, -20.0).astype(np.float32) for x in (visible, hit[:, :N])]
    return [np.broadcast_to(similarity, (B, N, N)).astype(np.float32), *logits, points]


def test_loss_of_the_truth_is_almost_zero(random_output):
    """Every term is lower there than for a random output."""
    batch = make_batch()
    random_loss, terms = fixed_loss(*random_output, batch)
    true_loss, true_terms = fixed_loss(*truth(batch), batch)
    assert float(true_loss) < 0.01 < 1 < float(random_loss)
    assert true_terms.keys() == terms.keys() == {"match", "unmatchable", "refine"}
    assert all(true_terms[name] < 0.01 < terms[name] for name in terms)


def test_loss_is_the_weighted_sum_of_its_terms(random_output):
    total, terms = fixed_loss(*random_output, make_batch())
    expected = terms["match"] + DEFAULT.unmatchable_weight * terms["unmatchable"]
    assert float(total) == pytest.approx(float(expected + DEFAULT.refine_weight * terms["refine"]))
    assert {x.dtype for x in (total, *terms.values())} == {jnp.dtype("float32")}
    assert {x.shape for x in (total, *terms.values())} == {()}


def test_match_term_is_the_mean_log_probability_of_the_true_cells(random_output):
    batch = make_batch()
    log_match = np.asarray(matches_of(*map(jnp.asarray, random_output[:3])).log_match)
    visible = batch["visible"].reshape(B, N)
    expected = np.mean(
        [
            -np.mean([log_match[b, i, i + G + 1] for i in np.flatnonzero(visible[b])])
            for b in range(B)
        ]
    )
    _, terms = fixed_loss(*random_output, batch)
    assert float(terms["match"]) == pytest.approx(expected, rel=1e-4)


def only(pair, tree):
    return jax.tree.map(lambda x: x[pair : pair + 1], tree)


def test_loss_of_a_batch_is_the_mean_over_its_pairs(random_output):
    """Whatever the number of visible cells of each, so that parts of a batch can be averaged."""
    batch = make_batch()
    batch["visible"][1, 2:] = False
    batch["visible"][2] = False
    total, _ = fixed_loss(*random_output, batch)
    parts = [fixed_loss(*only(b, (*random_output, batch)))[0] for b in range(B)]
    assert len({round(float(part), 3) for part in parts}) == B
    assert float(total) == pytest.approx(np.mean(parts), rel=1e-5)


def test_unmatchable_cells(random_output):
    """In A those not visible; in B those to or beside which no visible cell leads."""
    visible = np.zeros((B, N), bool)
    visible[0, 2 * G + 3] = True  # leads to row 3, column 4
    batch = make_batch(visible=visible)
    by_matchability = jax.grad(lambda *x: fixed_loss(*x, batch)[1]["unmatchable"], (0, 1, 2))
    similarity, a, b = jax.jit(by_matchability)(*random_output)
    np.testing.assert_array_equal(similarity, 0)
    np.testing.assert_array_equal(a > 0, ~visible)
    around = np.zeros((B, G, G), bool)
    around[0, 2:5, 3:6] = True
    np.testing.assert_array_equal(b > 0, ~around.reshape(B, N))
    assert not (np.asarray(a) < 0).any() and not (np.asarray(b) < 0).any()


def test_refinement_starts_near_the_true_cell(random_output):
    """At the chosen cell where it is the true one or adjacent to it, else at the true one."""
    batch = make_batch(visible=np.broadcast_to(np.arange(N) == 0, (B, N)))
    right, beside, far = (G + 1), (G + 2), (5 * G + 5)
    similarity = np.zeros((B, N, N), np.float32)
    similarity[np.arange(3), 0, [right, beside, far]] = 20

    class RecordingNet(FixedNet):
        def refine(self, matches, index):
            self.start = index
            return self.points

    @jax.jit
    def start_cells(similarity):
        zero = jnp.zeros((B, N))
        net = RecordingNet(matches_of(similarity, zero, zero), random_output[3])
        loss(net, batch)
        return net.start

    np.testing.assert_array_equal(start_cells(similarity)[:3, 0], [right, beside, right])


def make_gradient(config):
    """Function of a batch: loss, terms and gradient of an initial network; jitted."""
    graph, params = nnx.split(create(config, 0))

    def params_loss(params, batch):
        return loss(nnx.merge(graph, params), batch)

    compute = jax.jit(jax.value_and_grad(params_loss, has_aux=True))
    return lambda batch: compute(params, batch)


@pytest.fixture(scope="module")
def gradient():
    return make_gradient(MODEL)


def leaves(tree):
    return [np.asarray(x) for x in jax.tree.leaves(tree)]


def test_gradient_of_impostor_pairs(gradient):
    """Without a visible cell nothing is NaN, and the gradient lowers the matchability."""
    batch = make_batch(visible=np.zeros((B, N), bool))
    (value, terms), slope = gradient(batch)
    assert terms["match"] == terms["refine"] == 0
    assert float(value) == pytest.approx(DEFAULT.unmatchable_weight * float(terms["unmatchable"]))
    assert float(value) > 0
    assert all(np.isfinite(leaf).all() for leaf in leaves(slope))
    assert (np.asarray(slope["matcher"]["matchability"]["bias"][...]) > 0).all()
    assert all(np.any(leaf) for leaf in leaves(slope["backbone"]))
    assert not any(np.any(leaf) for leaf in leaves(slope["refiner"]))


def test_gradient_of_genuine_pairs_reaches_every_part(gradient):
    (value, _), slope = gradient(make_batch())
    assert np.isfinite(value)
    for part in ("backbone", "transformer", "matcher", "refiner"):
        assert all(np.isfinite(leaf).all() for leaf in leaves(slope[part])), part
        assert any(np.any(leaf) for leaf in leaves(slope[part])), part


def test_coordinates_of_hidden_cells_are_ignored(gradient):
    one, other = make_batch(), make_batch()
    other["map_ab"] = np.nan_to_num(other["map_ab"], nan=1e30)
    assert float(gradient(one)[0][0]) == float(gradient(other)[0][0])


def test_bfloat16_gives_the_same_float32_loss(gradient):
    batch = make_batch()
    (value, terms), _ = gradient(batch)
    config = dataclasses.replace(MODEL, compute_dtype="bfloat16")
    graph, params = nnx.split(create(config, 0))
    other, half = jax.jit(lambda p: loss(nnx.merge(graph, p), batch))(params)
    assert {x.dtype for x in (other, *half.values())} == {jnp.dtype("float32")}
    assert float(other) == pytest.approx(float(value), rel=0.05)
    for name in terms:
        assert float(half[name]) == pytest.approx(float(terms[name]), rel=0.1), name
