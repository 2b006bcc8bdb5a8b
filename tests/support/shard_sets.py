"""Small shard sets of synthetic pairs, and the findings of their verification."""

import functools
from dataclasses import replace

from pairs import make_pairs

from shards import manifest, provenance, shard_file, store
from shards.record import encode
from shards.verify.verify import verify

SPARE_IMAGE = "synthetic/test/train-000_2"  # in the lists of images, but in no pair
NO_HASH = "0" * 64


@functools.cache
def cached_pairs(n, seed, partition="synthetic/test", split="train"):
    return make_pairs(n, seed, partition, split)


def example_pairs():
    """Return shard name → pairs: two shards for training, one for validation, one for testing."""
    train, val = cached_pairs(24, 1), cached_pairs(8, 2, split="val")
    name = manifest.shard_name
    return {
        name("synthetic/test", "train", 0, 2): train[:12],
        name("synthetic/test", "train", 1, 2): train[12:],
        name("synthetic/test", "val", 0, 1): [replace(p, index=24 + k) for k, p in enumerate(val)],
        name("fvc2002/db1_b", "test", 0, 1): cached_pairs(8, 3, "fvc2002/db1_b", "test"),
    }


FIRST, SECOND, VAL, OTHER = example_pairs()


def write_set(out, content):
    """Write a set (shard name → pairs) with a correct manifest that lists all images."""
    images = {"synthetic/test": {SPARE_IMAGE: NO_HASH}, "fvc2002/db1_b": {}}
    for name, pairs in content.items():
        for pair in pairs:
            for image_id in (pair.image_id_a, pair.image_id_b):
                images[manifest.parse_name(name)[0]][image_id] = NO_HASH
    return write_set_with_images(out, content, images)


def write_set_with_images(out, content, images):
    """Write a set (shard name → pairs) of `images` (partition → image id → sha256)."""
    entries = [shard_file.write_shard(out / n, map(encode, pairs)) for n, pairs in content.items()]
    spec = {"size": 128, "grid": 32}
    store.write_sources(out, images)
    store.write_manifest(out, manifest.assemble(spec, images, entries))
    return out


def write_changed_set(out, change, name=FIRST, number=0):
    """Write the example with one pair changed: record `number` of shard `name`."""
    content = example_pairs()
    content[name] = list(content[name])
    content[name][number] = change(content[name][number])
    return write_set(out, content)


def read_images(out):
    """Return partition → image id → sha256."""
    parts = store.load_manifest(out).partitions.items()
    return {name: provenance.read(out, name, p.source_hash, p.images) for name, p in parts}


def messages(out, level="full"):
    """Verify a set and return its findings as text."""
    return [str(finding) for finding in verify(out, level, workers=1)]


def write_two_partitions(out):
    """Write a set with 12 pairs for training, 4 of another partition for testing."""
    entries = []
    for partition, split, n in (("synthetic/test", "train", 12), ("sd302/U", "test", 4)):
        path = out / manifest.shard_name(partition, split, 0, 1)
        pairs = make_pairs(n, 1, partition=partition, split=split)
        entries.append(shard_file.write_shard(path, map(encode, pairs)))
    images = {"synthetic/test": {"x": "0" * 64, "y": "1" * 64}, "sd302/U": {}}
    store.write_manifest(out, manifest.assemble({"seed": 1}, images, entries))
    (out / "quarantine.jsonl").write_text('{"path": "x.tif", "reason": "16 bits"}\n')
    return out
