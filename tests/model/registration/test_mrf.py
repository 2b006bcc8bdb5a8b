"""Labels chosen jointly, compared with the best of all labellings."""

import itertools

import numpy as np
import pytest

from model.registration.mrf import DEFAULT, MrfParameters, choose_labels


def by_label(cost):
    """Transpose costs [Ny, Nx, S, S] to [S, S, Ny, Nx]."""
    return np.ascontiguousarray(cost.transpose(2, 3, 0, 1))


def energy(cost, labels):
    """Total cost of a labelling [Ny, Nx, 2], by the definition."""
    rows, columns = np.indices(labels.shape[:2])
    total = cost[rows, columns, labels[..., 1], labels[..., 0]].sum()
    for axis in (0, 1):
        difference = np.diff(labels, axis=axis)
        smoothness = DEFAULT.slope * (difference**2).sum(-1)
        total += np.minimum(smoothness, DEFAULT.largest_cost).sum()
    return total


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (2, 2)])
@pytest.mark.parametrize("seed", range(5))
def test_energy_is_that_of_the_best_labelling(shape, seed):
    cost = np.random.default_rng(seed).uniform(0, 1, (*shape, 3, 3)).astype(np.float32)
    labels = [np.array(x) for x in itertools.product(range(3), repeat=2)]
    best = min(
        energy(cost, np.array(labelling).reshape(*shape, 2))
        for labelling in itertools.product(labels, repeat=shape[0] * shape[1])
    )
    chosen = choose_labels(by_label(cost), MrfParameters(rounds=30))
    assert chosen.shape == (*shape, 2)
    assert energy(cost, chosen) == pytest.approx(best, rel=0.02 if shape == (2, 2) else 1e-5)


def test_neighbours_resolve_periodic_costs():
    """Each node alone fits as well, or a little better, one period of five labels off the truth."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:12, :12]
    truth = np.stack([8 + np.rint(2 * np.sin(x / 6)), 8 + np.rint(2 * np.cos(y / 6))], -1)
    labels = np.arange(17)
    off_x = labels[None, None, None, :] - truth[..., 0][..., None, None]
    off_y = labels[None, None, :, None] - truth[..., 1][..., None, None]
    wave = np.cos(2 * np.pi * off_x / 5) * np.exp(-(off_y**2 / 18) - off_x**2 / 200)
    cost = (-0.8 * wave + 0.25 * rng.normal(size=wave.shape)).astype(np.float32)
    single = cost.reshape(12, 12, -1).argmin(-1) % 17
    joint = choose_labels(by_label(cost))[..., 0]
    assert (np.abs(single - truth[..., 0]) > 2).mean() > 0.3
    assert (np.abs(joint - truth[..., 0]) > 2).mean() < 0.05


def test_without_smoothness_cost_each_node_takes_its_best_label():
    cost = np.random.default_rng(1).uniform(0, 1, (5, 6, 4, 4)).astype(np.float32)
    y, x = np.divmod(cost.reshape(5, 6, -1).argmin(-1), 4)
    labels = choose_labels(by_label(cost), MrfParameters(slope=1e-9, largest_cost=1e-9))
    assert np.array_equal(labels, np.stack([x, y], -1))
