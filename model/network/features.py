"""Features of a trained network for another one: what a matcher needs, IFViT's second module.

The matcher of IFViT (arXiv 2404.08237) takes the transformer that the first module has trained,
adds a fully connected layer, and trains both further on pairs that the first module has aligned.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from model import SHIPPED
from model.network import weights
from model.network.net import create
from shards.foundation.errors import Misuse

PARTS = ("backbone", "transformer")
Images = NDArray[np.uint8] | jax.Array  # uint8 [..., S, S]
Params = dict[str, Any]  # nested by module, float32 arrays at the leaves


class Features(NamedTuple):
    """Features of the cells of images, float32 [..., G, G, C].

    Attributes:
        backbone: before attention; they depend on the image alone.
        transformer: after self- and cross-attention, normalised; they depend on both images of a
            pair. In a network without attention layers they are the normalised features of the
            backbone.
    """

    backbone: jax.Array
    transformer: jax.Array


class FeatureNetwork:
    """The backbone and the transformer of a trained network, as functions of their parameters.

    The functions are compiled for each shape, may be called inside `jax.jit` and can be
    differentiated with respect to the parameters: a training that passes its own trains them
    further, and one that does not leaves them as they are.

    Attributes:
        config: of the network; `image_size` is S, `cells` is G and `width` is C.
        geometry: of the crops that it was trained on.
        params: trained parameters of backbone and transformer, a pytree of nested dicts.

    Args:
        checkpoint: the network, a .safetensors file; the one that ships by default.

    Raises:
        Misuse: the checkpoint does not exist.
        Fault: it cannot be used.
    """

    def __init__(self, checkpoint: str | Path | None = None) -> None:
        loaded = weights.load(SHIPPED if checkpoint is None else Path(checkpoint))
        self.config, self.geometry = loaded.net.config, loaded.geometry
        nested = weights.nest(weights.tensors(nnx.state(loaded.net)))
        self.params: Params = {part: nested[part] for part in PARTS}
        self._image, self._pair = jax.jit(self._compute_image), jax.jit(self._compute_pair)

    def features_of_image(self, images: Images, params: Params | None = None) -> Features:
        """Compute the features of images that are not part of a pair.

        The layers of cross-attention need two images, so that the transformer gets each image as a
        pair with itself, as most pairs of the training are two views of one image. It was never
        trained to apply its layers of self-attention without those between them.

        Args:
            images: uint8 [..., S, S] with dark ridges, crops as the network was trained on.
            params: parameters instead of `self.params`, of the same structure.

        Raises:
            Misuse: the images have another size or type.
        """
        self._check(images, "images")
        result: Features = self._image(self.params if params is None else params, images)
        return result

    def features_of_pair(
        self, images_a: Images, images_b: Images, params: Params | None = None
    ) -> tuple[Features, Features]:
        """Compute the features of the images A and of the images B of pairs.

        Args:
            images_a, images_b: as in `features_of_image`, of one shape; for a matcher B aligned
                with A (`model.registration.aligned_crops`).
            params: as in `features_of_image`.

        Returns:
            The features of A and those of B. Exchanged images have exchanged features.

        Raises:
            Misuse: the images have another size or type.
        """
        self._check(images_a, "images_a")
        self._check(images_b, "images_b")
        if images_a.shape != images_b.shape:
            shapes = f"{list(images_a.shape)} and {list(images_b.shape)}"
            raise Misuse(f"images_a and images_b: {shapes}; expected one shape")
        result: tuple[Features, Features] = self._pair(
            self.params if params is None else params, images_a, images_b
        )
        return result

    def _check(self, images: Images, name: str) -> None:
        """Misuse for anything but images of the network's size."""
        size = self.config.image_size
        shape, dtype = getattr(images, "shape", ()), getattr(images, "dtype", type(images).__name__)
        if dtype != np.uint8 or shape[-2:] != (size, size):
            raise Misuse(
                f"{name}: an array {list(shape)} {dtype}; expected uint8 [..., {size}, {size}]"
            )

    def _compute_image(self, params: Params, images: jax.Array) -> Features:
        maps = self._maps(params, images)
        cells = self._cells(params, jnp.concatenate([maps, maps]))
        return self._features(maps, cells[: len(maps)], images.shape)

    def _compute_pair(
        self, params: Params, a: jax.Array, b: jax.Array
    ) -> tuple[Features, Features]:
        maps_a, maps_b = jnp.split(self._maps(params, jnp.stack([a, b])), 2)
        cells_a, cells_b = jnp.split(self._cells(params, jnp.concatenate([maps_a, maps_b])), 2)
        return self._features(maps_a, cells_a, a.shape), self._features(maps_b, cells_b, b.shape)

    def _maps(self, params: Params, images: jax.Array) -> jax.Array:
        """Apply the backbone: uint8 [..., S, S] → [B, G, G, C] in the compute dtype."""
        backbone = self._merge("backbone", params)
        maps: jax.Array = backbone(images.reshape(-1, *images.shape[-2:]))
        return maps

    def _cells(self, params: Params, maps: jax.Array) -> jax.Array:
        """Apply the transformer: [2B, G, G, C] → float32 [2B, N, C]."""
        transformer = self._merge("transformer", params)
        cells: jax.Array = transformer(maps.reshape(len(maps), -1, maps.shape[-1]))
        return cells

    def _features(self, maps: jax.Array, cells: jax.Array, shape: tuple[int, ...]) -> Features:
        """Return the features of images of `shape`."""
        shape = (*shape[:-2], *maps.shape[1:])
        return Features(maps.astype(jnp.float32).reshape(shape), cells.reshape(shape))

    def _merge(self, part: str, params: Params) -> Any:
        """Return a part of the network with its parameters in `params`."""
        graph, state = self._outlines[part]
        leaves = []
        for keys, leaf in nnx.to_flat_state(state):
            value = functools.reduce(lambda tree, key: tree[str(key)], keys, params[part])
            leaves.append((keys, leaf.replace(value)))
        return nnx.merge(graph, nnx.from_flat_state(leaves))

    @functools.cached_property
    def _outlines(self) -> dict[str, tuple[Any, Any]]:
        """Graph and abstract parameters of each part."""
        net = nnx.eval_shape(lambda: create(self.config, 0))
        return {part: nnx.split(getattr(net, part)) for part in PARTS}
