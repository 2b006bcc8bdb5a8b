"""Apply a trained network to windows of several sizes, with the features of an image computed once.

Without attention layers, the features of a cell depend on little but its surroundings (the norms
and the subtracted mean depend on the whole window), so the window may be larger than the images of
the training. It grows by about half of the training size at a time, which bounds the number of
compiled programs. With attention layers the network has learned positions, and the window keeps the
size of the training.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from model.network.matching import Correspondences
from model.network.net import Net, outline
from model.network.weights import Checkpoint
from pipeline.imaging.warp import Array, pixel_grid


@dataclass(frozen=True)
class WindowParameters:
    """Sizes of the windows."""

    # Largest window in units of the training's image size: 864 px at 500 ppi, a rolled impression.
    # Measured, docs/LOG.md, 2026-11-23, "The first network that shipped": larger windows help.
    largest: float = 3.0


DEFAULT = WindowParameters()


class WindowNetwork:
    """A trained network, compiled for windows of several sizes.

    Args:
        checkpoint: the network and the geometry of its training crops.
        parameters: see `WindowParameters`.
    """

    def __init__(self, checkpoint: Checkpoint, parameters: WindowParameters = DEFAULT) -> None:
        self.config, self.geometry = checkpoint.net.config, checkpoint.geometry
        self.parameters = parameters
        self._params = nnx.split(checkpoint.net)[1]
        self._programs = functools.cache(self._compile)

    @property
    def scale(self) -> float:
        """Pixels at 500 ppi per pixel of the network's images."""
        return self.geometry.crop / self.geometry.size

    def window_size(self, extent: float) -> int:
        """Return the side of the smallest window that holds an impression.

        Args:
            extent: side of the impression, px at 500 ppi.

        Returns:
            Side in px of the network's images; that of the largest window if none is large enough.
        """
        size = self.geometry.size
        if self.config.layers:
            return size
        coarsest = self.config.coarsest
        step = max(size // 2 // coarsest, 1) * coarsest
        sizes = range(size, int(self.parameters.largest * size) + 1, step)
        return next((side for side in sizes if side * self.scale >= extent), sizes[-1])

    def features(self, image: NDArray[np.uint8]) -> jax.Array:
        """Compute the backbone's features [1, G, G, C] of an image uint8 [S, S]."""
        features, _ = self._programs(len(image))
        return features(self._params, image[None])

    def match(self, features_a: jax.Array, features_b: jax.Array) -> Correspondences:
        """Compute correspondences of two images of one size from their features [1, G, G, C]."""
        _, match = self._programs(features_a.shape[1] * self.config.stride)
        return match(self._params, features_a, features_b)

    def cells(self, size: int) -> Array:
        """Return the centres (x, y) float64 [N, 2] of the cells of a window of `size` px."""
        count = size // self.config.stride
        return pixel_grid(count, count, self.config.stride).reshape(-1, 2)

    def _compile(
        self, size: int
    ) -> tuple[Callable[..., jax.Array], Callable[..., Correspondences]]:
        """Compile the backbone and the rest of the network for windows of `size` px."""
        config = dataclasses.replace(self.config, image_size=size)
        graph, _ = outline(config)

        def features(params: nnx.State, images: jax.Array) -> jax.Array:
            return nnx.merge(graph, params).backbone(images)

        def match(params: nnx.State, a: jax.Array, b: jax.Array) -> Correspondences:
            net: Net = nnx.merge(graph, params)
            return net.correspond(net.match(jnp.concatenate([a, b])))

        return jax.jit(features), jax.jit(match)
