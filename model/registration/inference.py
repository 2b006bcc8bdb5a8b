"""A trained network as registering uses it: a window that grows with the print, features once.

A network without attention layers says of a cell nearly what its surroundings show, wherever in the
window they lie (only its norms and the mean that is taken off its features are of all the window),
so that its window may be larger than in training: half a window at a time, which bounds the number
of programs that are compiled. With attention it has learned positions too, and the window stays as
it was.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from model.network import grid
from model.network.matching import Correspondences
from model.network.net import Net, create
from model.network.weights import Checkpoint
from pipeline.imaging.warp import Array

LARGEST = 3.0  # windows of training: 864 px at 500 ppi, a rolled print with all its edges


class Network:
    """The parameters of a checkpoint, and its programs for windows of several sizes."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.config, self.geometry = checkpoint.net.config, checkpoint.geometry
        self._params = nnx.split(checkpoint.net)[1]
        self._programs = functools.cache(self._compile)

    @property
    def scale(self) -> float:
        """Px at 500 ppi a px of the network's images."""
        return self.geometry.crop / self.geometry.size

    def window(self, extent: float) -> int:
        """Side, px of the network's images, of the window for a print of `extent` px at 500 ppi."""
        if self.config.layers:
            return self.geometry.size
        step = max(self.geometry.size // 2, self.config.coarsest)
        sizes = range(self.geometry.size, int(LARGEST * self.geometry.size) + 1, step)
        return next((size for size in sizes if size * self.scale >= extent), sizes[-1])

    def features(self, image: NDArray[np.uint8]) -> jax.Array:
        """What the backbone sees in an image uint8 [S, S], [1, G, G, C]; S as `window` gives it."""
        return self._programs(len(image))[0](self._params, image[None])

    def match(self, a: jax.Array, b: jax.Array) -> Correspondences:
        """The correspondences of two images of one size, from their features."""
        return self._programs(a.shape[1] * self.config.stride)[1](self._params, a, b)

    def cells(self, size: int) -> Array:
        """Centres (x, y) float64 [N, 2] of the cells of a window of `size` px."""
        return np.asarray(grid.centres(size // self.config.stride, self.config.stride), np.float64)

    def _compile(
        self, size: int
    ) -> tuple[Callable[..., jax.Array], Callable[..., Correspondences]]:
        """The backbone and the rest of the network for windows of `size` px."""
        config = dataclasses.replace(self.config, image_size=size)
        graph, _ = nnx.split(nnx.eval_shape(lambda: create(config, 0)))

        def features(params: nnx.State, images: jax.Array) -> jax.Array:
            return nnx.merge(graph, params).backbone(images)

        def match(params: nnx.State, a: jax.Array, b: jax.Array) -> Correspondences:
            net: Net = nnx.merge(graph, params)
            return net.correspond(net.match(jnp.concatenate([a, b])))

        return jax.jit(features), jax.jit(match)
