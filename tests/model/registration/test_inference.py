"""Windows of the network that grow with the impression."""

import dataclasses

import numpy as np
import pytest
from flax import nnx

from model.network import grid, weights
from model.network.config import ModelConfig
from model.network.net import create
from model.network.weights import Checkpoint, CropGeometry
from model.registration.inference import WindowNetwork

CONFIG = ModelConfig(
    image_size=64,
    stride=8,
    rotations=4,
    stem_stride=4,
    stem_channels=4,
    stage_channels=(4, 4),
    width=16,
    layers=0,
    heads=2,
    mlp=8,
)
GEOMETRY = CropGeometry(crop=144, size=64, grid=16)


@pytest.fixture(scope="module")
def network():
    return WindowNetwork(Checkpoint(create(CONFIG, 0), GEOMETRY))


@pytest.mark.parametrize(
    ("extent", "size"), [(60, 64), (144, 64), (145, 96), (280, 128), (432, 192), (2000, 192)]
)
def test_window_is_the_smallest_that_holds_the_impression(network, extent, size):
    assert network.window_size(extent) == size


def test_window_of_a_network_with_attention_keeps_its_size():
    config = dataclasses.replace(CONFIG, layers=1)
    assert WindowNetwork(Checkpoint(create(config, 0), GEOMETRY)).window_size(400) == 64


def test_windows_are_multiples_of_the_coarsest_stride():
    """Half of a training size of 72 px is none, with features at stride 8."""
    config = dataclasses.replace(CONFIG, image_size=72)
    network = WindowNetwork(Checkpoint(create(config, 0), CropGeometry(crop=144, size=72, grid=9)))
    assert network.window_size(145) == 104
    assert network.features(np.zeros((104, 104), np.uint8)).shape[1] == 13


def test_window_of_the_training_size_gives_the_output_of_the_network(network):
    net = create(CONFIG, 0)
    a, b = np.random.default_rng(0).integers(0, 255, (2, 1, 64, 64), np.uint8)
    correspondences = network.match(network.features(a[0]), network.features(b[0]))
    expected = net.correspond(net(a, b))
    assert np.allclose(correspondences.points, expected.points, atol=1e-3)
    assert np.allclose(correspondences.confidence, expected.confidence, atol=1e-5)


@pytest.mark.parametrize("size", [64, 96, 192])
def test_cells_match_themselves_in_a_window_of_any_size(network, size):
    image = np.random.default_rng(size).integers(0, 255, (size, size), np.uint8)
    features = network.features(image)
    correspondences = network.match(features, features)
    cells = network.cells(size)
    assert cells.shape == ((size // 8) ** 2, 2)
    assert np.array_equal(cells, grid.centres(size // 8, 8))
    assert np.asarray(correspondences.mutual).mean() > 0.95
    distances = np.hypot(*(np.asarray(correspondences.points[0]) - cells).T)
    assert (distances < 1.5 * 8 * np.sqrt(2)).mean() > 0.95


def test_parameters_are_those_of_the_checkpoint(network):
    expected = weights.tensors(nnx.state(create(CONFIG, 0)))
    parameters = weights.tensors(network._params)
    assert expected.keys() == parameters.keys()
    assert all(np.array_equal(expected[name], parameters[name]) for name in expected)
