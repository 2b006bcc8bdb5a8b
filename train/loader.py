"""Batches from a shard set: the same order for the same seed, resumable, fit for many hosts.

Dimension letters: B pairs of the batch, H W pixels of an image, G cells along a side of the truth.
A batch is a dict of numpy arrays:

    image_a, image_b  uint8 [B, H, W]
    map_ab            float32 [B, G, G, 2], (x, y) px in B; 0 where not visible
    visible           bool [B, G, G]
    genuine           bool [B]
    kind, noise       uint8 [B], indices into shards.record.KINDS and NOISES
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grain
import numpy as np
from numpy.typing import NDArray

from shards import record
from shards.foundation.errors import Fault, Misuse
from shards.manifest import json_sha256
from shards.store import ShardSet

Batch = dict[str, NDArray[Any]]

READ_AHEAD = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)  # batches; more only contend


class TrainingBatches:
    """Endless batches of the training split, each epoch in a fresh permutation.

    An epoch has `steps` batches; the remainder that fills no batch is left out of that epoch, and
    is another one in the next. `host` = (number of this process, of how many): every process gets
    its part of the same global batches, of `batch_size` / processes pairs. With `overfit` the first
    batch comes for ever.
    """

    def __init__(
        self,
        shards: ShardSet,
        batch_size: int,
        seed: int,
        host: tuple[int, int] = (0, 1),
        overfit: bool = False,
    ) -> None:
        self.pairs, (process, processes) = shards.count("train"), host
        self.steps = self.pairs // batch_size
        if not self.steps:
            raise Misuse(
                f"{shards.directory}: {self.pairs} training pairs do not fill one batch of "
                f"{batch_size}; set train.batch_size to {max(self.pairs, 1)} or less, or build more"
            )
        self._shards, self._batch_size, self._overfit = shards, batch_size, overfit
        order = grain.MapDataset.range(self.pairs).seed(seed).shuffle()[: self.steps * batch_size]
        self._order = order.batch(batch_size, batch_fn=np.asarray)
        local = self._order.map(lambda indices: np.split(indices, processes)[process])
        endless = local[:1].repeat(reseed_each_epoch=False) if overfit else local.repeat()
        batches = endless.map(lambda indices: read(shards, "train", indices))
        self._iterator = batches.to_iter_dataset(READ_AHEAD).__iter__()
        self.fingerprint = {
            "training shards": _hash(shards, "train"),
            "training pairs": self.pairs,
            "batch size": batch_size,
            "seed": seed,
            "overfit": overfit,
        }

    def __iter__(self) -> Iterator[Batch]:
        """Itself: the position is one."""
        return self

    def __next__(self) -> Batch:
        """The next batch. Fault where a shard cannot be read or a record is damaged."""
        return next(self._iterator)

    def indices(self, step: int) -> NDArray[np.int64]:
        """Which pairs of the split the global batch of `step` (from 0) holds, int64 [B]."""
        return self._order[0 if self._overfit else step]

    def image_ids(self, step: int) -> list[tuple[str, str]]:
        """The images of every pair in the global batch of `step` (from 0)."""
        pairs = [record.decode(d) for d in self._shards.read("train", self.indices(step).tolist())]
        return [(pair.image_id_a, pair.image_id_b) for pair in pairs]

    def state(self) -> dict[str, Any]:
        """Where the iterator stands, and in what: JSON values."""
        return {"iterator": self._iterator.get_state(), "fingerprint": self.fingerprint}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`; Fault where it was taken over other data or batches."""
        saved = state["fingerprint"]
        other = [
            f"{key} {_short(saved.get(key))} then, {_short(value)} now"
            for key, value in self.fingerprint.items()
            if saved.get(key) != value
        ]
        if other:
            raise Fault(
                f"the data are not those that the checkpoint was trained on: {'; '.join(other)}. "
                "Go on with its own, or train on these into another --checkpoint_dir"
            )
        self._iterator.set_state(state["iterator"])

    def close(self) -> None:
        """End the reading thread."""
        self._iterator.close()


def evaluation_batches(
    shards: ShardSet,
    split: str,
    batch_size: int,
    indices: NDArray[np.int64] | None = None,
    host: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Batch, int]]:
    """Every pair of a split (or of `indices`) once, in order: (batch, how many of it count).

    The last batch is filled up to `batch_size` with repetitions that do not count, so that all
    have one shape. Each process gets its part of the same global batches.
    """
    process, processes = host
    every = np.arange(shards.count(split)) if indices is None else indices
    starts = range(0, len(every), batch_size)

    def load(start: int) -> tuple[Batch, int]:
        part = every[start : start + batch_size]
        local = np.split(np.resize(part, batch_size), processes)[process]
        return read(shards, split, local), len(part)

    source = grain.MapDataset.source(starts).map(load) if len(every) else ()
    return iter(source.to_iter_dataset(READ_AHEAD) if source else ())


def read(shards: ShardSet, split: str, indices: NDArray[np.int64]) -> Batch:
    """The batch of the pairs with these numbers in a split; Fault where one is damaged."""
    data = shards.read(split, indices.tolist())
    pairs = [_decode(shards, split, *item) for item in zip(indices.tolist(), data, strict=True)]
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


def _decode(shards: ShardSet, split: str, index: int, data: bytes) -> record.Pair:
    try:
        return record.decode(data)
    except Fault as fault:
        entry, number = shards.locate(split, index)
        raise Fault(f"{shards.directory / entry.name}: record {number} {fault}") from fault


def _hash(shards: ShardSet, split: str) -> str:
    """Of the bytes of a split, in the order of its records."""
    return json_sha256([entry.sha256 for entry in shards.manifest.shards if entry.split == split])


def _short(value: object) -> str:
    return value[:12] if isinstance(value, str) else str(value)
