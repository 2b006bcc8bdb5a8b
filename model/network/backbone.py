"""Convolutional backbone: one feature vector per cell of an image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from model.network.config import ModelConfig
from model.network.equivariant import Conv, Norm, invariant


@dataclass(frozen=True)
class StemParameters:
    """Initial filters of the stem, and the contrast of its input. Lengths are px of the image."""

    # Periods of the Gabor filters, geometric. Chosen: ridge periods of 7 to 13 px at 500 ppi in
    # crops of 288 px resampled to 128 px.
    period_range: tuple[float, float] = (3.0, 6.0)
    # Standard deviation of a filter's envelope in units of its side. Chosen.
    envelope: float = 0.2
    # Directions of the filters of a stem without orientations, which has no rotated copies of them.
    # Chosen: as many as the equivariant networks that were tried.
    directions: int = 8
    # The stem starts as this much of a Gabor bank and of random filters. Measured, docs/LOG.md,
    # 2026-11-22, "How the network begins to learn": few random filters respond to ridges.
    gabor_share: float = 0.9
    random_share: float = 0.3
    # Grey levels added to the local contrast (in squares), so that flat background stays flat.
    # Chosen.
    contrast_floor: float = 10.0


DEFAULT = StemParameters()


class Block(nnx.Module):
    """Basic residual block of two 3×3 convolutions (He et al. 2016).

    With `halve` it averages 2×2 px first, where ResNet uses a stride: the centre of a 3×3 kernel at
    stride 2 lies half a pixel beside that of the cell, which is a bias as soon as one of two images
    is rotated.
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
    """ResNet whose stages each halve the side, with top-down fusion up to the stride of the cells.

    The top-down path is that of feature pyramid networks (Lin et al. 2017), as in LoFTR. With
    `rotations` > 1 the features do not change when the image is rotated, as in SE2-LoFTR (arXiv
    2204.10144): the network need not learn that an impression may have any orientation.
    """

    def __init__(
        self, config: ModelConfig, rngs: nnx.Rngs, parameters: StemParameters = DEFAULT
    ) -> None:
        turns, dtype, inputs = config.rotations, config.compute_dtype, config.stem_channels
        conv = partial(Conv, turns=turns, dtype=dtype, rngs=rngs)
        side = 2 * config.stem_stride + 4  # even, so that outputs lie on the cells' centres
        self.stem = conv(1, inputs, side, stride=config.stem_stride, lift=True)
        random = parameters.random_share * self.stem.kernel[...]
        bank = gabor_bank(side, inputs, 1 if turns > 1 else parameters.directions, parameters)
        self.stem.kernel[...] = random + parameters.gabor_share * bank
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
        self.config, self.contrast_floor = config, parameters.contrast_floor

    def __call__(self, image: jax.Array) -> jax.Array:
        """Images uint8 [B, H, W] → features [B, G, G, width] in the compute dtype."""
        config = self.config
        x = normalise_contrast(image, config.contrast_window, self.contrast_floor)
        x = x.astype(config.compute_dtype)
        x = nnx.relu(self.stem_norm(self.stem(x[..., None])))
        maps = []
        for stage in self.stages:
            for block in stage:
                x = block(x)
            maps.append(x)
        maps = maps[-len(self.laterals) :]
        levels = [
            invariant(lateral(x), config.rotations)
            for lateral, x in zip(self.laterals, maps, strict=True)
        ]
        fused = levels.pop()
        while levels:
            fused = levels.pop() + _double(fused)
        return fused


def gabor_bank(
    side: int, count: int, directions: int = 1, parameters: StemParameters = DEFAULT
) -> jax.Array:
    """Return Gabor filters for ridges, with periods from small to large.

    A phase of 45° makes a filter and the same rotated by 180° a quadrature pair (Daugman 1985):
    together they respond to a ridge at any position.

    Args:
        side: of a filter, px.
        count: number of filters.
        directions: number of directions, by turns; the first one is for vertical ridges.
        parameters: see `StemParameters`.

    Returns:
        float32 [side², 1, 1, count] with norm √2, as in the initialisation of He et al. (2015).
    """
    position = jnp.arange(side) - (side - 1) / 2
    rows, columns = jnp.meshgrid(position, position, indexing="ij")
    y, x = rows.reshape(-1, 1), columns.reshape(-1, 1)
    envelope = jnp.exp(-(x**2 + y**2) / (2 * (parameters.envelope * side) ** 2))
    index = jnp.arange(count)
    angle = (index % directions) * (2 * jnp.pi / directions)
    period = jnp.geomspace(*parameters.period_range, -(-count // directions))[index // directions]
    across = x * jnp.cos(angle)[None] + y * jnp.sin(angle)[None]
    bank = envelope * jnp.cos(2 * jnp.pi * across / period[None] + jnp.pi / 4)
    bank -= bank.mean(0, keepdims=True)
    return (jnp.sqrt(2.0) * bank / jnp.linalg.norm(bank, axis=0, keepdims=True))[:, None, None]


def normalise_contrast(
    image: jax.Array, window: float, floor: float = DEFAULT.contrast_floor
) -> jax.Array:
    """Normalise the grey levels of an image to about unit contrast.

    Subtracts the local mean and divides by the local standard deviation, which removes the
    influence of pressure, moisture and sensor on the grey level (Hong et al. 1998 do it globally).

    Args:
        image: uint8 [B, H, W].
        window: standard deviation of the Gaussian window, px; 0 for a fixed mean and deviation.
        floor: grey levels added to the contrast (in squares).

    Returns:
        float32 [B, H, W].
    """
    x = image.astype(jnp.float32)
    if not window:
        return (x - 127.5) / 64  # greys 0 … 255 become -2 … 2
    position = jnp.arange(x.shape[-1])
    weight = jnp.exp(-0.5 * ((position[:, None] - position[None]) / window) ** 2)
    blur = weight / weight.sum(1, keepdims=True)  # a matrix, since devices are fast at products
    centred = x - blur @ x @ blur.T
    return centred * jax.lax.rsqrt(blur @ jnp.square(centred) @ blur.T + floor**2)


def _double(x: jax.Array) -> jax.Array:
    """[B, H, W, C] → [B, 2H, 2W, C], bilinear with the cell centres of `model.network.grid`."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, 2 * height, 2 * width, channels), "linear")
