"""Features of a network for another one: those of its own layers, frozen or trained further."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from model.network import tensor_file, weights
from model.network.config import ModelConfig
from model.network.features import FeatureNetwork
from model.network.net import create
from shards.foundation.errors import Misuse

CONFIG = ModelConfig(
    image_size=32, stem_channels=4, stage_channels=(4, 8), width=16, layers=1, heads=2, mlp=16
)
GEOMETRY = weights.CropGeometry(crop=72, size=32, grid=8)
G, C = CONFIG.cells, CONFIG.width
CLASSES = 3
STEPS = 30


@pytest.fixture(scope="module")
def net():
    return create(CONFIG, 3)


@pytest.fixture(scope="module")
def network(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "c.safetensors"
    arrays = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(net)).items()}
    tensor_file.write(path, arrays, weights.metadata(CONFIG, GEOMETRY))
    return FeatureNetwork(path)


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32), np.uint8)


def assert_close(one, two):
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)


def test_features_of_a_pair_are_those_of_the_layers(net, network):
    a, b = images(2), images(2, seed=1)
    maps = net.backbone(jnp.concatenate([a, b]))
    cells = net.transformer(maps.reshape(4, G * G, C)).reshape(4, G, G, C)
    for k, features in enumerate(network.features_of_pair(a, b)):
        assert features.backbone.dtype == features.transformer.dtype == np.float32
        assert_close(features.backbone, maps[2 * k : 2 * k + 2])
        assert_close(features.transformer, cells[2 * k : 2 * k + 2])


def test_the_transformer_sees_the_other_image_and_the_backbone_does_not(network):
    a, b, other = images(3)
    first, second = network.features_of_pair(a, b)[0], network.features_of_pair(a, other)[0]
    assert_close(first.backbone, second.backbone)
    assert np.abs(first.transformer - second.transformer).max() > 1e-3


def test_one_image_is_a_pair_with_itself(network):
    image = images(1)[0]
    alone = network.features_of_image(image)
    assert alone.backbone.shape == alone.transformer.shape == (G, G, C)
    for features in network.features_of_pair(image, image):
        jax.tree.map(assert_close, alone, features)


def test_any_leading_dimensions(network):
    batch = images(6).reshape(2, 3, 32, 32)
    features = network.features_of_image(batch)
    assert features.transformer.shape == (2, 3, G, G, C)
    assert_close(features.transformer[1, 2], network.features_of_image(batch[1, 2]).transformer)


def test_exchanged_images_have_exchanged_features(network):
    a, b = images(2)
    forward, backward = network.features_of_pair(a, b), network.features_of_pair(b, a)
    jax.tree.map(assert_close, forward, backward[::-1])


def classes(count, seed):
    """Images of CLASSES patterns with noise, and their classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    patterns = images(CLASSES, seed=5)[labels].astype(float)
    noisy = patterns + rng.normal(0, 30, patterns.shape)
    return noisy.clip(0, 255).astype(np.uint8), labels


def loss(head, params, network, batch, labels):
    """Cross-entropy of a linear head on the features of all cells."""
    features = network.features_of_image(batch, params).transformer
    logits = apply_head(head, features)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def apply_head(head, features):
    """Logits [B, CLASSES] of features [B, G, G, C]."""
    return features.reshape(-1, G * G * C) @ head["kernel"] + head["bias"]


def train(trained, split, network, rate):
    """Losses of STEPS steps; `split` returns the head and the network's parameters."""
    batch, labels = classes(12, seed=0)
    optimiser = optax.adam(rate)

    @jax.jit
    def step(trained, state):
        value, gradient = jax.value_and_grad(
            lambda trained: loss(*split(trained), network, batch, labels)
        )(trained)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(trained, updates), state, value

    state, losses = optimiser.init(trained), []
    for _ in range(STEPS):
        trained, state, value = step(trained, state)
        losses.append(float(value))
    return trained, losses


HEAD = {"kernel": jnp.zeros((G * G * C, CLASSES)), "bias": jnp.zeros((1, CLASSES))}


def test_a_linear_head_learns_on_frozen_features(network):
    before = jax.tree.map(np.array, network.params)
    head, losses = train(HEAD, lambda head: (head, network.params), network, 0.01)
    assert losses[0] == pytest.approx(np.log(CLASSES), rel=1e-4)
    assert losses[-1] < 0.3 * losses[0]
    batch, labels = classes(30, seed=1)  # other noise than in training
    predicted = apply_head(head, network.features_of_image(batch).transformer).argmax(-1)
    assert (predicted == labels).mean() > 0.8
    jax.tree.map(np.testing.assert_array_equal, network.params, before)


def test_the_network_trains_further_with_the_head(network):
    before = jax.tree.map(np.array, network.params)
    trained, losses = train((HEAD, network.params), lambda both: both, network, 0.01)
    assert losses[-1] < 0.1 * losses[0]
    moved = jax.tree.map(lambda new, old: np.abs(new - old).max(), trained[1], before)
    assert set(moved) == {"backbone", "transformer"}
    assert min(jax.tree.leaves(moved)) > 0  # every parameter has a gradient
    jax.tree.map(np.testing.assert_array_equal, network.params, before)


def test_parameters_are_nested_as_in_the_file(net, network):
    arrays = weights.tensors(nnx.state(net))
    kernel = network.params["backbone"]["stages"]["1"]["0"]["first"]["kernel"]
    np.testing.assert_array_equal(kernel, arrays["backbone.stages.1.0.first.kernel"])
    expected = sum(name.startswith(("backbone.", "transformer.")) for name in arrays)
    assert len(jax.tree.leaves(network.params)) == expected


def test_float32_whatever_the_network_computes_in(net, tmp_path):
    arrays = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(net)).items()}
    facts = weights.metadata(ModelConfig(**{**vars(CONFIG), "compute_dtype": "bfloat16"}), GEOMETRY)
    tensor_file.write(tmp_path / "c.safetensors", arrays, facts)
    features = FeatureNetwork(str(tmp_path / "c.safetensors")).features_of_image(images(1))
    assert features.backbone.dtype == features.transformer.dtype == np.float32


@pytest.mark.parametrize(
    "wrong", [images(1).astype(np.float32), images(1)[:, :31], images(1)[0, 0], [[0]]]
)
def test_other_arrays_are_refused(network, wrong):
    with pytest.raises(Misuse, match=r"images: an array .* expected uint8 \[\.\.\., 32, 32\]"):
        network.features_of_image(wrong)


def test_pairs_of_two_shapes_are_refused(network):
    with pytest.raises(Misuse, match=r"\[2, 32, 32\] and \[1, 32, 32\]; expected one shape"):
        network.features_of_pair(images(2), images(1))


def test_missing_checkpoint(tmp_path):
    with pytest.raises(Misuse, match="no such checkpoint"):
        FeatureNetwork(tmp_path / "none.safetensors")
