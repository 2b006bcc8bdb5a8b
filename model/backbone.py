"""Image → one feature vector a matching cell: a ResNet with top-down fusion."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from model.config import ModelConfig


def norm(channels: int, dtype: str, rngs: nnx.Rngs) -> nnx.GroupNorm:
    """Group normalisation (Wu & He 2018) with 16 channels a group: no batch statistics."""
    size = 16 if channels % 16 == 0 else channels
    return nnx.GroupNorm(
        channels, num_groups=None, group_size=size, epsilon=1e-5, dtype=dtype, rngs=rngs
    )


class Block(nnx.Module):
    """Basic residual block of two 3×3 convolutions (He et al. 2016), the first with `stride`."""

    def __init__(self, inputs: int, channels: int, stride: int, dtype: str, rngs: nnx.Rngs) -> None:
        conv = partial(nnx.Conv, use_bias=False, dtype=dtype, rngs=rngs)
        self.first = conv(inputs, channels, (3, 3), strides=stride)
        self.first_norm = norm(channels, dtype, rngs)
        self.second = conv(channels, channels, (3, 3))
        self.second_norm = norm(channels, dtype, rngs)
        same = stride == 1 and inputs == channels
        self.shortcut = None if same else conv(inputs, channels, (1, 1), strides=stride)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] → [B, H / stride, W / stride, channels]."""
        y = nnx.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return nnx.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Backbone(nnx.Module):
    """Stem, stages that each halve the side, and fusion from the coarsest up to the cells' stride.

    The top-down path follows feature pyramid networks (Lin et al. 2017), as in LoFTR.
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        dtype, inputs = config.compute_dtype, config.stem_channels
        conv = partial(nnx.Conv, use_bias=False, dtype=dtype, rngs=rngs)
        side = 2 * config.stem_stride + 3  # 7×7 at stride 2, as ResNet has it
        self.stem = conv(1, inputs, (side, side), strides=config.stem_stride)
        self.stem_norm = norm(inputs, dtype, rngs)
        stages, laterals = [], []
        for k, channels in enumerate(config.stage_channels):
            strides = [1 if k == 0 else 2] + [1] * (config.blocks - 1)
            blocks = []
            for stride in strides:
                blocks.append(Block(inputs, channels, stride, dtype, rngs))
                inputs = channels
            stages.append(nnx.List(blocks))
            if config.stem_stride * 2**k >= config.stride:
                laterals.append(conv(channels, config.width, (1, 1)))
        self.stages, self.laterals = nnx.List(stages), nnx.List(laterals)
        self.smooth = nnx.List(
            conv(config.width, config.width, (3, 3)) for _ in range(len(laterals) - 1)
        )
        self.dtype = dtype

    def __call__(self, image: jax.Array) -> jax.Array:
        """uint8 [B, H, W] → [B, G, G, width] in the compute dtype."""
        x = ((image.astype(jnp.float32) - 127.5) / 64).astype(self.dtype)[..., None]
        x = nnx.relu(self.stem_norm(self.stem(x)))
        maps = []
        for stage in self.stages:
            for block in stage:
                x = block(x)
            maps.append(x)
        maps = maps[-len(self.laterals) :]
        fused = self.laterals[-1](maps[-1])
        for k in reversed(range(len(maps) - 1)):
            fused = self.smooth[k](self.laterals[k](maps[k]) + _double(fused))
        return fused


def _double(x: jax.Array) -> jax.Array:
    """[B, H, W, C] → [B, 2H, 2W, C], bilinear with the cell-centre convention of model.grid."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, 2 * height, 2 * width, channels), "linear")
