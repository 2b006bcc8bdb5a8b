"""Pairs of a shard set as numpy arrays, for a network of any framework.

Dimension letters: B pairs of a batch, H W pixels of an image, G cells per side of the truth. A
batch is a dict of numpy arrays:

    image_a, image_b  uint8 [B, H, W]
    map_ab            float32 [B, G, G, 2], (x, y) px in B; 0 where not visible
    visible           bool [B, G, G]
    genuine           bool [B]
    kind, noise       uint8 [B], indices into shards.record.KINDS and NOISES
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shards import record
from shards.foundation.errors import Misuse
from shards.manifest import SPLITS
from shards.store import ShardSet

Batch = dict[str, NDArray[Any]]


class PairSequence(Sequence[Batch]):
    """The pairs of one split of a shard set, by number; can be pickled and read by many threads.

    Args:
        shards: the shard set.
        split: "train", "val" or "test".

    Raises:
        Misuse: there is no such split.
    """

    def __init__(self, shards: ShardSet, split: str) -> None:
        if split not in SPLITS:
            raise Misuse(f"split {split!r}: expected one of {', '.join(SPLITS)}")
        self.shards, self.split = shards, split

    def __len__(self) -> int:
        """Return the number of pairs."""
        return self.shards.count(self.split)

    def __getitem__(self, index: Any) -> Any:
        """Return pair `index` as a batch without its first dimension; a slice as a list of them.

        Raises:
            IndexError: there is no such pair.
            Fault: a shard cannot be read, or a record is damaged.
        """
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        return {name: array[0] for name, array in self.batch([self._number(index)]).items()}

    def batch(self, indices: Sequence[int] | NDArray[np.integer]) -> Batch:
        """Return the pairs of these numbers as one batch.

        Raises:
            Misuse: there are no numbers.
            IndexError, Fault: as for one pair.
        """
        if not len(indices):
            raise Misuse("a batch of no pairs: expected the number of at least one pair")
        return read_batch(self.shards, self.split, np.asarray(indices, np.int64))

    def batches(self, size: int, seed: int | None = None) -> Iterator[Batch]:
        """Iterate over all pairs once in batches of `size`; the last one may be smaller.

        Args:
            size: pairs of a batch.
            seed: of a random order; None for the order of the shards.

        Raises:
            Misuse: `size` is below 1.
        """
        if size < 1:
            raise Misuse(f"batches of {size} pairs: expected at least 1")
        order = np.arange(len(self))
        if seed is not None:
            np.random.default_rng(seed).shuffle(order)
        return (self.batch(order[start : start + size]) for start in range(0, len(order), size))

    def record(self, index: int) -> record.Pair:
        """Return all fields of a pair, with its fingers, images and transforms; raises as above."""
        (pair,) = self.shards.pairs(self.split, [self._number(index)])
        return pair

    def _number(self, index: int) -> int:
        """Return an index from 0; negative ones count from the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)} in {self.split}")
        return int(index) % len(self)


def read_batch(shards: ShardSet, split: str, indices: NDArray[np.int64]) -> Batch:
    """Read the pairs with these indices of a split as a batch.

    Args:
        shards: the shard set.
        split: "train", "val" or "test".
        indices: int64 [B].

    Raises:
        Fault: a record is damaged; the message names shard and record.
    """
    pairs = shards.pairs(split, indices.tolist())
    size, (height, width), cells = len(pairs), pairs[0].image_a.shape, len(pairs[0].visible)
    batch: Batch = {
        "image_a": np.empty((size, height, width), np.uint8),
        "image_b": np.empty((size, height, width), np.uint8),
        "map_ab": np.zeros((size, cells, cells, 2), np.float32),
        "visible": np.empty((size, cells, cells), np.bool_),
        "genuine": np.array([pair.genuine for pair in pairs], np.bool_),
        "kind": np.array([record.KINDS.index(pair.kind) for pair in pairs], np.uint8),
        "noise": np.array([record.NOISES.index(pair.noise) for pair in pairs], np.uint8),
    }
    for k, pair in enumerate(pairs):
        batch["image_a"][k], batch["image_b"][k] = pair.image_a, pair.image_b
        batch["visible"][k] = pair.visible
        # No NaN may reach the device: even a masked one poisons a gradient.
        np.copyto(batch["map_ab"][k], pair.map_ab, where=pair.visible[..., None])
    return batch
