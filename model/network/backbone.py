"""Image → one feature vector a matching cell: a ResNet with top-down fusion."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from model.network.config import ModelConfig
from model.network.equivariant import Conv, Norm, invariant


class Block(nnx.Module):
    """Basic residual block of two 3×3 convolutions (He et al. 2016).

    `halve` averages 2×2 px first, where ResNet strides: a 3×3 kernel at stride 2 has its centre
    half a px beside the cell's, which is a bias as soon as one of two images is turned.
    """

    def __init__(
        self, inputs: int, channels: int, halve: bool, turns: int, dtype: str, rngs: nnx.Rngs
    ) -> None:
        conv = partial(Conv, turns=turns, dtype=dtype, rngs=rngs)
        self.first, self.second = conv(inputs, channels, 3), conv(channels, channels, 3)
        self.first_norm = Norm(channels, turns, dtype, rngs)
        self.second_norm = Norm(channels, turns, dtype, rngs)
        self.shortcut = None if inputs == channels else conv(inputs, channels, 1)
        self.halve = halve

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] → [B, H, W, channels], or half the side."""
        if self.halve:
            x = nnx.avg_pool(x, (2, 2), (2, 2))
        y = nnx.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return nnx.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Backbone(nnx.Module):
    """Stem, stages that each halve the side, and fusion from the coarsest up to the cells' stride.

    The top-down path follows feature pyramid networks (Lin et al. 2017), as in LoFTR. With
    `rotations` > 1 the features do not change when the image turns, as in SE2-LoFTR
    (arXiv 2204.10144): the network need not learn that a print may lie at any angle.
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        turns, dtype, inputs = config.rotations, config.compute_dtype, config.stem_channels
        conv = partial(Conv, turns=turns, dtype=dtype, rngs=rngs)
        side = 2 * config.stem_stride + 4  # even, so that outputs lie on the cells' centres
        self.stem = conv(1, inputs, side, stride=config.stem_stride, lift=True)
        if turns > 1:  # random filters of a bank as small as this seldom see ridges at all
            self.stem.kernel[...] = 0.3 * self.stem.kernel[...] + 0.9 * gabor(side, inputs)
        self.stem_norm = Norm(inputs, turns, dtype, rngs)
        stages, laterals = [], []
        for k, channels in enumerate(config.stage_channels):
            blocks = []
            for b in range(config.blocks):
                blocks.append(Block(inputs, channels, k > 0 and b == 0, turns, dtype, rngs))
                inputs = channels
            stages.append(nnx.List(blocks))
            if config.stem_stride * 2**k >= config.stride:
                laterals.append(conv(channels, config.width, 1))
        self.stages, self.laterals = nnx.List(stages), nnx.List(laterals)
        self.config = config

    def __call__(self, image: jax.Array) -> jax.Array:
        """uint8 [B, H, W] → [B, G, G, width] in the compute dtype."""
        x = normalise(image, self.config.contrast_window).astype(self.config.compute_dtype)
        x = nnx.relu(self.stem_norm(self.stem(x[..., None])))
        maps = []
        for stage in self.stages:
            for block in stage:
                x = block(x)
            maps.append(x)
        maps = maps[-len(self.laterals) :]
        pairs = zip(self.laterals, maps, strict=True)
        levels = [invariant(lateral(x), self.config.rotations) for lateral, x in pairs]
        fused = levels.pop()
        while levels:
            fused = levels.pop() + _double(fused)
        return fused


def gabor(side: int, count: int) -> jax.Array:
    """Filters for vertical ridges with periods of 3 to 6 px, float32 [side², 1, 1, count].

    A phase of 45° makes a filter and the same turned by half a turn a quadrature pair (Daugman
    1985): together they see a ridge wherever it lies. Norm √2, as He's initialisation has it.
    """
    at = jnp.arange(side) - (side - 1) / 2
    y, x = (v.reshape(-1, 1) for v in jnp.meshgrid(at, at, indexing="ij"))
    envelope = jnp.exp(-(x**2 + y**2) / (2 * (0.2 * side) ** 2))
    bank = envelope * jnp.cos(2 * jnp.pi * x / jnp.geomspace(3.0, 6.0, count)[None] + jnp.pi / 4)
    bank -= bank.mean(0, keepdims=True)
    return (jnp.sqrt(2.0) * bank / jnp.linalg.norm(bank, axis=0, keepdims=True))[:, None, None]


def normalise(image: jax.Array, window: float) -> jax.Array:
    """uint8 [B, H, W] → float32 of about unit contrast.

    With a `window` (px, the deviation of a Gaussian) by the local mean and deviation, which takes
    away what pressure, moisture and sensor do to the grey level (Hong et al. 1998 do it globally);
    the floor of 10 grey levels keeps flat background flat. Without (0) by fixed numbers.
    """
    x = image.astype(jnp.float32)
    if not window:
        return (x - 127.5) / 64
    at = jnp.arange(x.shape[-1])
    weight = jnp.exp(-0.5 * ((at[:, None] - at[None]) / window) ** 2)
    blur = weight / weight.sum(1, keepdims=True)  # as a matrix: products are what devices are for
    centred = x - blur @ x @ blur.T
    return centred * jax.lax.rsqrt(blur @ jnp.square(centred) @ blur.T + 100)


def _double(x: jax.Array) -> jax.Array:
    """[B, H, W, C] → [B, 2H, 2W, C], bilinear with the cell-centre convention of model.network.grid."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, 2 * height, 2 * width, channels), "linear")
