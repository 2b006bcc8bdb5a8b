"""The dense registration network: two images in, match probabilities and correspondences out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from model.network.backbone import Backbone
from model.network.config import ModelConfig
from model.network.matching import Correspondences, Matcher, Matches, Refiner, best
from model.network.transformer import Transformer


class Net(nnx.Module):
    """Backbone, transformer, matcher and refiner, the same weights for both images.

    Pure: no batch statistics, no dropout, so that a device's part of a batch is treated like all.
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.config = config
        self.backbone = Backbone(config, rngs)
        self.transformer = Transformer(config, rngs)
        self.matcher = Matcher(config, rngs)
        self.refiner = Refiner(config, rngs)

    def __call__(self, image_a: jax.Array, image_b: jax.Array) -> Matches:
        """Images uint8 [B, H, W], dark ridges → Matches over the N = (H / stride)² cells."""
        return self.match(self.backbone(jnp.concatenate([image_a, image_b])))

    def match(self, x: jax.Array) -> Matches:
        """The backbone's [2B, G, G, C], the B first images above their partners → Matches."""
        return self.matcher(self.transformer(x.reshape(len(x), -1, x.shape[-1])))

    def refine(self, matches: Matches, index: jax.Array) -> jax.Array:
        """Points (x, y) float32 [B, N, 2] px in B, near the cells `index` int32 [B, N] of B."""
        return self.refiner(matches, index)

    def correspond(self, matches: Matches) -> Correspondences:
        """The likeliest partner of every cell of A, with its probability."""
        index, log_probability, mutual = best(matches.log_match)
        return Correspondences(self.refine(matches, index), jnp.exp(log_probability), mutual)


def create(config: ModelConfig, seed: int) -> Net:
    """A freshly initialised network; the same parameters for the same config and seed."""

    @nnx.jit
    def build() -> Net:
        return Net(config, nnx.Rngs(params=seed))

    return build()
