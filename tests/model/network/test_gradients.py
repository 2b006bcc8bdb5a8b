"""Every parameter of the network has an effect: its gradient is well above rounding."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from pairs import make_pairs

import configs
from model.network.loss import loss
from model.network.net import create, outline
from model.network.weights import tensors

CONFIGS = sorted(
    path for path in configs.PAPER.parent.glob("*.py") if "CONFIG = " in path.read_text()
)
MODELS = {configs.load(path).model: path.stem for path in CONFIGS}  # each network once
# Root mean square of a parameter's gradient at initialisation. The smallest true one, of the
# refiner's hidden layer, is 1e-4; a bias that later steps cancel gives 1e-8 (pure rounding).
SMALLEST_GRADIENT = 1e-5


def small(config):
    """The same network, narrower and on smaller images."""
    return dataclasses.replace(
        config,
        image_size=max(32, config.coarsest, 4 * config.stride),
        stem_channels=8,
        stage_channels=(8,) * len(config.stage_channels),
        width=4 * config.heads,
        mlp=16,
        layers=min(config.layers, 2),
        compute_dtype="float32",
    )


def gradients(config):
    """Gradient of the loss on a random batch by parameter name, numpy arrays."""
    pairs = make_pairs(4, 0, size=config.image_size, grid=config.cells)
    names = ("image_a", "image_b", "map_ab", "visible")
    batch = {name: jnp.asarray(np.stack([getattr(p, name) for p in pairs])) for name in names}
    graph = outline(config)[0]

    def gradient():
        params = nnx.split(create(config, 0))[1]
        return jax.grad(lambda params: loss(nnx.merge(graph, params), batch)[0])(params)

    # compiled whole: operation by operation it takes three times as long
    return {name: np.asarray(value) for name, value in tensors(jax.jit(gradient)()).items()}


@pytest.mark.parametrize("model", MODELS, ids=MODELS.get)
def test_every_parameter_has_a_gradient(model):
    magnitudes = {
        name: float(np.sqrt(np.mean(np.square(value))))
        for name, value in gradients(small(model)).items()
    }
    without_effect = {k: v for k, v in magnitudes.items() if not v > SMALLEST_GRADIENT}
    assert not without_effect
