"""Labels chosen together, against the best of all labellings."""

import itertools

import numpy as np
import pytest

from model.registration.mrf import MrfParameters, choose_labels

BEND, MOST = 0.05, 0.5


def by_label(cost):
    """Costs [Ny, Nx, S, S] as they are asked for: [S, S, Ny, Nx]."""
    return np.ascontiguousarray(cost.transpose(2, 3, 0, 1))


def energy(cost, labels):
    """What a labelling [Ny, Nx, 2] costs, by the definition."""
    rows, columns = np.indices(labels.shape[:2])
    total = cost[rows, columns, labels[..., 1], labels[..., 0]].sum()
    for axis in (0, 1):
        away = np.diff(labels, axis=axis)
        total += np.minimum(BEND * (away**2).sum(-1), MOST).sum()
    return total


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (2, 2)])
@pytest.mark.parametrize("seed", range(5))
def test_as_good_as_the_best_of_all_labellings(shape, seed):
    cost = np.random.default_rng(seed).uniform(0, 1, (*shape, 3, 3)).astype(np.float32)
    labels = [np.array(x) for x in itertools.product(range(3), repeat=2)]
    best = min(
        energy(cost, np.array(chosen).reshape(*shape, 2))
        for chosen in itertools.product(labels, repeat=shape[0] * shape[1])
    )
    found = choose_labels(by_label(cost), MrfParameters(rounds=30))
    assert found.shape == (*shape, 2)
    assert energy(cost, found) == pytest.approx(best, rel=0.02 if shape == (2, 2) else 1e-5)


def test_what_repeats_is_told_by_what_surrounds_it():
    """Each node fits as well, or a little better, a ridge of five labels beside the truth."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:12, :12]
    truth = np.stack([8 + np.rint(2 * np.sin(x / 6)), 8 + np.rint(2 * np.cos(y / 6))], -1)
    at = np.arange(17)
    away = at[None, None, None, :] - truth[..., 0][..., None, None]
    across = at[None, None, :, None] - truth[..., 1][..., None, None]
    wave = np.cos(2 * np.pi * away / 5) * np.exp(-(across**2 / 18) - away**2 / 200)
    cost = (-0.8 * wave + 0.25 * rng.normal(size=wave.shape)).astype(np.float32)
    alone = cost.reshape(12, 12, -1).argmin(-1) % 17
    found = choose_labels(by_label(cost))
    assert (np.abs(alone - truth[..., 0]) > 2).mean() > 0.3
    assert (np.abs(found[..., 0] - truth[..., 0]) > 2).mean() < 0.05


def test_without_a_bond_each_node_takes_its_best():
    cost = np.random.default_rng(1).uniform(0, 1, (5, 6, 4, 4)).astype(np.float32)
    y, x = np.divmod(cost.reshape(5, 6, -1).argmin(-1), 4)
    assert np.array_equal(
        choose_labels(by_label(cost), MrfParameters(slope=1e-9, largest_cost=1e-9)),
        np.stack([x, y], -1),
    )
