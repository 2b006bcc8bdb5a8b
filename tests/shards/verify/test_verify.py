"""Damage to the files and the manifest of a set is reported; levels, processes, command."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from pairs import make_pairs
from shard_sets import FIRST, OTHER, SECOND, VAL, example_pairs, messages, write_set

from shards import manifest, provenance, shard_file, store
from shards.__main__ import main
from shards.foundation.errors import Misuse
from shards.record import decode, encode
from shards.verify import check_shard, verify


@pytest.fixture(scope="module")
def sound_set(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("sound"), example_pairs())


@pytest.fixture
def copy(sound_set, tmp_path):
    return shutil.copytree(sound_set, tmp_path / "set")


@pytest.mark.parametrize("level", verify.LEVELS)
def test_a_sound_set_has_no_fault(sound_set, level):
    assert messages(sound_set, level) == []


def test_a_level_that_does_not_exist_is_a_misuse(sound_set):
    with pytest.raises(Misuse, match="level 'Deep': expected one of quick, full, deep"):
        messages(sound_set, "Deep")


def test_several_processes_give_the_same_findings_as_one(copy):
    always = verify.PoolParameters(0, 0, 0)
    flip(copy / SECOND, 200_000)
    alone = messages(copy, "deep")
    assert [str(finding) for finding in verify.verify(copy, "deep", 2, always)] == alone != []


def flip(path, offset, bit=3):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Write a set of two shards with records of 1 kB, to be damaged many times."""
    pairs = make_pairs(20, 4, size=16, grid=4)
    name = manifest.shard_name
    content = {name("synthetic/test", "train", k, 2): pairs[10 * k : 10 * k + 10] for k in (0, 1)}
    return write_set(tmp_path_factory.mktemp("small"), content)


def test_each_of_500_flipped_bits_is_reported_with_its_record(small):
    path = small / FIRST
    data, entry = path.read_bytes(), store.load_manifest(small).shards[0]
    records = [encode(pair) for pair in make_pairs(10, 4, size=16, grid=4)]
    spans = [(data.index(item), len(item)) for item in records]
    rng = np.random.default_rng(0)
    inside = [start + rng.integers(size) for start, size in spans for _ in range(25)]
    job = check_shard.CheckJob(os.path.realpath(small), store.load_manifest(small), "full")
    for offset in [*rng.integers(len(data), size=250), *inside]:
        flip(path, offset, int(rng.integers(8)))
        report = check_shard.check_shard(job, entry)
        assert report.findings or report.sha256, f"bit at {offset} not reported"
        hit = [k for k, (start, size) in enumerate(spans) if start <= offset < start + size]
        assert [f.record for f in report.findings if f.record is not None] == hit
        path.write_bytes(data)


def test_each_of_100_truncations_is_reported_at_the_quick_level(small):
    path = small / FIRST
    whole = path.read_bytes()
    lengths = np.random.default_rng(0).integers(len(whole), size=97)
    for length in (0, 65_536, len(whole) - 1, *lengths):
        path.write_bytes(whole[:length])
        assert messages(small, "quick") == [
            f"{FIRST}: has {length} bytes, expected {len(whole)} by the manifest"
        ]
    path.write_bytes(whole)


def test_a_renamed_shard_is_missing_and_unlisted(copy):
    (copy / FIRST).rename(copy / "train" / "elsewhere.arrayrecord")
    assert messages(copy, "quick") == [
        "train/elsewhere.arrayrecord: is not in the manifest",
        f"{FIRST}: is missing",
    ]


def test_swapped_shards_are_named(copy):
    (copy / FIRST).rename(copy / "x")
    (copy / SECOND).rename(copy / FIRST)
    (copy / "x").rename(copy / SECOND)
    assert messages(copy) == [
        f"{FIRST}: was changed after it was written (sha256): its content is that of {SECOND}",
        f"{SECOND}: was changed after it was written (sha256): its content is that of {FIRST}",
    ]


def test_a_shard_of_another_build_is_reported(copy):
    shard_file.write_shard(copy / FIRST, map(encode, make_pairs(12, 99)))
    faults = messages(copy)
    assert len(faults) == 1 and "it is of another build" in faults[0]


def test_a_shard_of_another_count_is_reported_at_the_quick_level(copy):
    entry = shard_file.write_shard(copy / FIRST, map(encode, make_pairs(11, 1)))
    with (copy / manifest.FILE).open() as file:
        top = json.load(file)
    listed = next(item for item in top["shards"] if item["name"] == FIRST)
    listed["bytes"] = entry.bytes  # so that only the count differs
    (copy / manifest.FILE).write_text(json.dumps(top))
    assert f"{FIRST}: has 11 records, expected 12 by the manifest" in messages(copy, "quick")


def test_a_damaged_record_and_a_missing_shard_are_both_reported(copy):
    flip(copy / FIRST, 300_000)
    (copy / OTHER).unlink()
    faults = messages(copy)
    assert faults[0] == f"{OTHER}: is missing"
    assert faults[1] == f"{FIRST}: was changed after it was written (sha256)"
    assert faults[2].startswith(f"{FIRST}: record ") and "is damaged" in faults[2]
    assert len(faults) == 3


def edit(out, change):
    path = out / manifest.FILE
    top = json.loads(path.read_text())
    change(top)
    path.write_text(json.dumps(top))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda top: top["spec"].update(size=64), "checksum"),
        (lambda top: top["shards"][0].update(name="../../etc/passwd"), "is not a shard name"),
        (lambda top: top["shards"][0].update(name="/etc/passwd"), "is not a shard name"),
        (lambda top: top.update(schema=0), "schema version 0"),
        (lambda top: top["shards"].pop(), "not all of one set|does not describe|do not add up"),
    ],
)
def test_an_edited_manifest_is_reported(copy, change, message):
    edit(copy, change)
    assert any(re.search(message, line) for line in messages(copy, "quick"))
    result = CliRunner().invoke(main, ["verify", str(copy), "--quick"])
    assert result.exit_code == 1


def test_a_changed_or_missing_list_of_images_is_reported(copy):
    """At every level."""
    path = copy / provenance.file_name("synthetic/test")
    path.write_bytes(path.read_bytes().replace(b"000_2", b"999_2"))
    (copy / provenance.file_name("fvc2002/db1_b")).unlink()
    for level in verify.LEVELS:
        assert messages(copy, level) == [
            "sources/fvc2002-db1_b.jsonl: is missing",
            "sources/synthetic-test.jsonl: was changed after it was written (sha256)",
        ]


def test_a_link_out_of_the_folder_is_reported(copy, tmp_path):
    (copy / FIRST).rename(tmp_path / "outside")
    (copy / FIRST).symlink_to(tmp_path / "outside")
    assert "symbolic link" in messages(copy, "quick")[0]


def test_exit_codes_and_lines_of_the_command(sound_set, copy, tmp_path):
    run = CliRunner().invoke
    assert run(main, ["verify", str(sound_set)]).exit_code == 0
    (copy / FIRST).unlink()
    result = run(main, ["verify", str(copy), "--quick"])
    assert result.exit_code == 1 and f"{FIRST}: is missing\n" in result.stdout
    result = run(main, ["verify", str(tmp_path / "nothing")])
    assert result.exit_code == 2 and "no shard set here" in result.stderr


def test_json_contains_every_fault(copy):
    flip(copy / FIRST, 300_000)
    result = CliRunner().invoke(main, ["verify", str(copy), "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 1 and report["sound"] is False and report["level"] == "full"
    assert [(f["file"], f["record"] is None) for f in report["faults"]] == [
        (FIRST, True), (FIRST, False)
    ]  # fmt: skip


def test_a_decoded_record_is_the_written_one(sound_set):
    shards = store.open_set(sound_set)
    pair = decode(shards.read("val", [3])[0])
    assert np.array_equal(pair.image_b, example_pairs()[VAL][3].image_b)
