"""Batches of a shard set (`shards.batch`): ordered by the seed, resumable, divided among hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grain
import numpy as np
from numpy.typing import NDArray

from shards.batch import Batch, read_batch
from shards.foundation.errors import Fault, Misuse
from shards.manifest import json_sha256
from shards.store import ShardSet

# One thread that reads up to 4 batches ahead: more threads only contend (measured by
# tests/bench/bench_shards.py).
READ_OPTIONS = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)


class TrainingBatches:
    """Iterate over the training split without end, each epoch in a new permutation.

    The pairs that fill no batch are left out of an epoch; they are others in the next one.

    Args:
        shards: The shard set.
        batch_size: Pairs of a global batch.
        seed: Seed of the permutations.
        host: (number of this process, number of processes). Each process gets its part of the same
            global batches: batch_size / processes pairs.
        overfit: Repeat the first batch.

    Attributes:
        pairs: Training pairs of the set.
        steps: Batches per epoch.
        identity: Properties of the data that must be equal when a run continues, JSON values.

    Raises:
        Misuse: The split does not fill one batch.
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
        self._global_batches = order.batch(batch_size, batch_fn=np.asarray)
        local = self._global_batches.map(lambda indices: np.split(indices, processes)[process])
        repeated = local[:1].repeat(reseed_each_epoch=False) if overfit else local.repeat()
        batches = repeated.map(lambda indices: read_batch(shards, "train", indices))
        self._iterator = batches.to_iter_dataset(READ_OPTIONS).__iter__()
        self.identity = {
            "training shards": split_digest(shards, "train"),
            "training pairs": self.pairs,
            "batch size": batch_size,
            "seed": seed,
            "overfit": overfit,
        }

    def __iter__(self) -> Iterator[Batch]:
        """Return the iterator itself; there is one position."""
        return self

    def __next__(self) -> Batch:
        """Return the next batch; Fault where a shard cannot be read or a record is damaged."""
        return next(self._iterator)

    def indices(self, step: int) -> NDArray[np.int64]:
        """Indices into the split of the global batch of `step` (from 0), int64 [B]."""
        return self._global_batches[0 if self._overfit else step]

    def image_ids(self, step: int) -> list[tuple[str, str]]:
        """Ids of both images of every pair in the global batch of `step` (from 0)."""
        pairs = self._shards.pairs("train", self.indices(step).tolist())
        return [(pair.image_id_a, pair.image_id_b) for pair in pairs]

    def state(self) -> dict[str, Any]:
        """Position of the iterator and identity of its data, JSON values."""
        # "fingerprint" is the key in the files of checkpoints; it has nothing to do with fingers
        return {"iterator": self._iterator.get_state(), "fingerprint": self.identity}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`; Fault where it belongs to other data or batches."""
        saved = state["fingerprint"]
        differences = [
            f"{key} {_short(saved.get(key))} then, {_short(value)} now"
            for key, value in self.identity.items()
            if saved.get(key) != value
        ]
        if differences:
            raise Fault(
                "the data are not those that the checkpoint was trained on:"
                f" {'; '.join(differences)}. Continue with its own data, or train on these into"
                " another --checkpoint_dir"
            )
        self._iterator.set_state(state["iterator"])

    def close(self) -> None:
        """Stop the reading thread."""
        self._iterator.close()


def evaluation_batches(
    shards: ShardSet,
    split: str,
    batch_size: int,
    indices: NDArray[np.int64] | None = None,
    host: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Batch, int]]:
    """Iterate once over a split, in order.

    The last batch is filled up to `batch_size` with repeated pairs, so that all batches have one
    shape. Each process gets its part of the same global batches.

    Args:
        shards: The shard set.
        split: "train", "val" or "test".
        batch_size: Pairs of a global batch.
        indices: Pairs of the split, int64 [M]; all where None.
        host: (number of this process, number of processes).

    Yields:
        A batch, and how many pairs of the global batch are not repetitions.
    """
    process, processes = host
    selected = np.arange(shards.count(split)) if indices is None else indices
    starts = range(0, len(selected), batch_size)

    def load(start: int) -> tuple[Batch, int]:
        part = selected[start : start + batch_size]
        local = np.split(np.resize(part, batch_size), processes)[process]
        return read_batch(shards, split, local), len(part)

    source = grain.MapDataset.source(starts).map(load) if len(selected) else ()
    return iter(source.to_iter_dataset(READ_OPTIONS) if source else ())


def split_digest(shards: ShardSet, split: str) -> str:
    """Sha256 over the bytes of a split, in the order of its records."""
    return json_sha256([entry.sha256 for entry in shards.manifest.shards if entry.split == split])


def _short(value: object) -> str:
    return value[:12] if isinstance(value, str) else str(value)
