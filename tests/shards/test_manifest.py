"""A manifest is read back as it was written, and every change of its file is reported."""

import io
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards import manifest
from shards.foundation.errors import Fault
from shards.manifest import Manifest, ShardEntry, assemble, serialize, shard_name, to_bytes
from shards.parse_manifest import parse as parse_file

IMAGES = {"sd302/U": {"sd302/U/a": "1" * 64, "sd302/U/b": "2" * 64}, "sd302/V": {}}
SPEC = {"seed": 0, "rotation_range": (-1.0471975511965976, 1.0471975511965976), "grid": 32}


def entry(partition, split, index, total, **changes):
    name = shard_name(partition, split, index, total)
    counts = {"genuine/sensor": 3, "impostor/dryness": 1}
    return replace(ShardEntry(name, partition, split, 1000, "a" * 64, 4, counts), **changes)


def example() -> Manifest:
    shards = [entry("sd302/U", "train", k, 3) for k in (2, 0, 1)]
    return assemble(SPEC, IMAGES, [*shards, entry("sd302/V", "val", 0, 1)])


def parse(data: bytes):
    return parse_file(io.BytesIO(data))


def edited(change, new_checksum=True) -> bytes:
    """Return manifest.json after `change` of its object, with a valid checksum if wanted."""
    top = json.loads(to_bytes(example()))
    change(top)
    if not new_checksum:
        return json.dumps(top).encode()
    return serialize({key: value for key, value in top.items() if key != "checksum"})


def test_a_parsed_manifest_is_equal_and_has_the_same_bytes():
    data = to_bytes(example())
    parsed, faults = parse(data)
    assert faults == []
    assert parsed == example()
    assert to_bytes(parsed) == data


def test_bytes_depend_on_the_set_only():
    shards = list(reversed(example().shards))
    images = dict(reversed([(k, dict(reversed(v.items()))) for k, v in IMAGES.items()]))
    assert to_bytes(assemble(dict(reversed(SPEC.items())), images, shards)) == to_bytes(example())


def test_counts_add_up_by_partition_split_and_kind():
    assert example().partitions["sd302/U"].counts == {"train": {"genuine": 9, "impostor": 3}}


def test_hashes_depend_on_the_spec_and_on_the_images():
    other = assemble({**SPEC, "seed": 1}, IMAGES, example().shards)
    assert other.spec_hash != example().spec_hash
    changed = {**IMAGES, "sd302/U": {**IMAGES["sd302/U"], "sd302/U/b": "3" * 64}}
    other = assemble(SPEC, changed, example().shards)
    assert other.partitions["sd302/U"].source_hash != example().partitions["sd302/U"].source_hash
    assert other.partitions["sd302/V"] == example().partitions["sd302/V"]


def test_shard_names_are_parsed():
    name = shard_name("fvc2002/db1_a", "train", 3, 12)
    assert name == "train/fvc2002-db1_a-00003-of-00012.arrayrecord"
    assert manifest.parse_name(name) == ("fvc2002/db1_a", "train", 3, 12)
    name = shard_name("synthetic/a-00001-of-00002", "test", 0, 100_000)
    assert manifest.parse_name(name) == ("synthetic/a-00001-of-00002", "test", 0, 100_000)


@pytest.mark.parametrize("partition", ["sd302", "sd302/../x", "SD302/U", "sd302/a b", "/U", "x/"])
def test_a_partition_whose_name_is_not_safe_in_a_path_is_refused(partition):
    with pytest.raises(Fault):
        shard_name(partition, "train", 0, 1)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../train/sd302-U-00000-of-00003.arrayrecord",
        "train/../../sd302-U-00000-of-00003.arrayrecord",
        "train\\sd302-U-00000-of-00003.arrayrecord",
        "train/sd302-U-00003-of-00003.arrayrecord",
        "train/sd302-U-00000-of-00003.arrayrecord\n",
        "train/sd302-U-0000٠-of-00003.arrayrecord",
        "",
        "\ud800",
        "a" * 100_000,
        5,
        None,
        ["train"],
    ],
)
def test_an_invalid_shard_name_is_a_fault(name):
    parsed, faults = parse(edited(lambda top: top["shards"][0].update(name=name)))
    assert any("shards[0]" in fault for fault in faults)
    assert len(parsed.shards) == 3  # valid entries stay, so that their files can be checked
    assert all(len(fault) < 500 for fault in faults)


def put(*path_and_value):
    *path, last, value = path_and_value

    def change(top):
        for key in path:
            top = top[key]
        top[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("schema", 0), "schema version 0"),
        (put("schema", "1"), "has schema '1', expected int"),
        (put("record_version", 99), "record version 99"),
        (put("spec", "seed", 7), "spec_hash"),
        (put("spec", [1]), "expected dict"),
        (put("extra", 1), "expected"),
        (put("shards", {}), "expected list"),
        (put("shards", 1, 5), "shards[1]"),
        (put("shards", 1, "records", True), "expected int"),
        (put("shards", 1, "records", 5), "do not add up"),
        (put("shards", 1, "bytes", -1), "out of range"),
        (put("shards", 1, "bytes", 10**400), "out of range"),
        (put("shards", 1, "bytes", 1.5), "expected int"),
        (put("shards", 1, "sha256", "A" * 64), "hexadecimal"),
        (put("shards", 1, "split", "val"), "but 'sd302/U', 'val'"),
        (put("shards", 1, "partition", "sd302/V"), "but 'sd302/V', 'train'"),
        (put("shards", 1, "counts", {"friendly/sensor": 4}), "expected"),
        (put("shards", 1, "counts", {"genuine/sensor": "4"}), "expected int"),
        (put("partitions", "sd302/U", {}), "partition 'sd302/U'"),
        (put("partitions", "sd302/U", "counts", {}), "counts that its shards do not add up to"),
        (put("partitions", "sd302/U", "counts", [[]]), "expected dict"),
        (put("partitions", "sd302/U", "images", {"x": 1}), "expected int"),
        (put("partitions", "sd302/U", "source_hash", "x"), "source_hash 'x'"),
        (lambda top: top["partitions"].pop("sd302/V"), "does not describe"),
        (lambda top: top["shards"].pop(1), "not all of one set"),
        (lambda top: top["shards"].append(top["shards"][0]), "2 times"),
        (lambda top: top.pop("spec"), "expected"),
    ],
)
def test_each_edit_is_reported_even_with_a_valid_checksum(change, message):
    _, faults = parse(edited(change))
    assert any(message in fault for fault in faults), faults


def test_the_checksum_detects_an_edit():
    sha256 = put("shards", 1, "sha256", "b" * 64)
    assert parse(edited(sha256))[1] == []
    assert "checksum" in parse(edited(sha256, new_checksum=False))[1][0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[1]",
        b"null",
        b"NaN",
        b"[" * 100_000,
        b'{"schema": 1, "schema": 1}',
        b'{"schema": 1e999}',
        b'{"schema": ' + b"9" * 5000 + b"}",
        to_bytes(example())[:-20],
        to_bytes(example()).replace(b'"grid":32', b'"grid":NaN'),
        to_bytes(example()).replace(b'"grid":32', b'"grid":' + b"[" * 900 + b"]" * 900),
    ],
    ids=range(12),
)
def test_other_content_is_a_fault_and_does_not_raise(data):
    _, faults = parse(data)
    assert faults and len(faults[0]) < 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
PATHS = st.sampled_from(
    [("schema",), ("spec",), ("partitions",), ("shards",), ("shards", 0), ("shards", 1, "counts")]
    + [("shards", 0, key) for key in ("name", "partition", "split", "bytes", "sha256", "records")]
    + [("partitions", "sd302/U"), ("partitions", "sd302/U", "counts"), ("checksum",)]
    + [("partitions", "sd302/U", "images"), ("spec_hash",), ("record_version",)]
)


@settings(max_examples=300)
@given(PATHS, JSON)
def test_any_value_anywhere_is_a_fault_or_a_manifest(path, value):
    parsed, faults = parse(edited_raw(path, value))
    assert faults or to_bytes(parsed)


def edited_raw(path, value):
    top = json.loads(to_bytes(example()))
    put(*path, value)(top)
    return json.dumps(top).encode()


@settings(max_examples=200)
@given(st.integers(0, len(to_bytes(example())) - 1), st.integers(0, 7))
def test_every_flipped_bit_is_reported(offset, bit):
    data = bytearray(to_bytes(example()))
    data[offset] ^= 1 << bit
    parsed, faults = parse(bytes(data))
    same = parsed == example()  # a flip may turn one kind of white space into another
    assert faults or same
