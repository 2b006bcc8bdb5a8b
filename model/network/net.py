"""The dense registration network: two images in, match probabilities and correspondences out.

The first module of IFViT (arXiv 2404.08237): a backbone, a transformer of alternating self- and
cross-attention, and dual-softmax matching. The same weights serve both images.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from model.network.backbone import Backbone
from model.network.config import ModelConfig
from model.network.matching import Correspondences, Matcher, Matches, Refiner, best_partners
from model.network.transformer import Transformer


class Net(nnx.Module):
    """Backbone, transformer, matcher and refiner.

    A pure function of the images: no batch statistics and no dropout, so that a device computes the
    same for its part of a batch as one device for all of it.
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.config = config
        self.backbone = Backbone(config, rngs)
        self.transformer = Transformer(config, rngs)
        self.matcher = Matcher(config, rngs)
        self.refiner = Refiner(config, rngs)

    def __call__(self, image_a: jax.Array, image_b: jax.Array) -> Matches:
        """Match images uint8 [B, H, W] with dark ridges over N = (H / stride)² cells."""
        return self.match(self.backbone(jnp.concatenate([image_a, image_b])))

    def match(self, features: jax.Array) -> Matches:
        """Match the backbone's features [2B, G, G, C]: the B images A first, then the images B."""
        cells = features.reshape(len(features), -1, features.shape[-1])
        return self.matcher(self.transformer(cells))

    def refine(self, matches: Matches, index: jax.Array) -> jax.Array:
        """Return points (x, y) float32 [B, N, 2] px in B, near its cells `index` int32 [B, N]."""
        return self.refiner(matches, index)

    def correspond(self, matches: Matches) -> Correspondences:
        """Return the most probable partner of every cell of A, refined below the cell."""
        index, log_probability, mutual = best_partners(matches.log_match)
        return Correspondences(self.refine(matches, index), jnp.exp(log_probability), mutual)


def create(config: ModelConfig, seed: int) -> Net:
    """Create a network with initial parameters that depend on the config and the seed alone."""

    return _initialiser(config)(jax.random.key(seed))


def outline(config: ModelConfig) -> tuple[nnx.GraphDef[Net], nnx.State]:
    """Return the network's structure and the shapes of its parameters, without computing."""
    return nnx.split(nnx.eval_shape(lambda: create(config, 0)))


@functools.cache
def _initialiser(config: ModelConfig) -> Callable[[jax.Array], Net]:
    """Return a function of the random key, so that one compilation serves all seeds."""
    return nnx.jit(lambda key: Net(config, nnx.Rngs(params=key)))
