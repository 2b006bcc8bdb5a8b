"""Every kind of damage to a shard set is reported at its level."""

import functools
import hashlib
import json
import os
import re
import shutil
import zlib
from dataclasses import replace

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from click.testing import CliRunner
from pairs import make_pairs

from shards import manifest, provenance, shard_file, store
from shards.__main__ import main
from shards.foundation.errors import Finding
from shards.record import decode, encode
from shards.verify import check_shard, verify
from shards.verify.check_correspondence import DEFAULT, common_area
from shards.verify.compare_shards import ShardComparison

IMPRESSION = "synthetic/test/train-000_2"


@functools.cache
def pairs_of(n, seed, partition="synthetic/test", split="train"):
    return make_pairs(n, seed, partition, split)


def plan():
    """Shard name → pairs: two shards to train on and one each to validate and test on."""
    train = pairs_of(24, 1)
    name = manifest.shard_name
    return {
        name("synthetic/test", "train", 0, 2): train[:12],
        name("synthetic/test", "train", 1, 2): train[12:],
        name("synthetic/test", "val", 0, 1): renumbered(pairs_of(8, 2, split="val"), 24),
        name("fvc2002/db1_b", "test", 0, 1): pairs_of(8, 3, "fvc2002/db1_b", "test"),
    }


def renumbered(pairs, first):
    return [replace(pair, index=first + k) for k, pair in enumerate(pairs)]


def write(out, content):
    """Write a set (shard name → pairs) with a correct manifest and all image ids."""
    images = {"synthetic/test": {IMPRESSION: "0" * 64}, "fvc2002/db1_b": {}}
    for name, pairs in content.items():
        for pair in pairs:
            for image_id in (pair.image_id_a, pair.image_id_b):
                images[manifest.parse_name(name)[0]][image_id] = "0" * 64
    return write_with_images(out, content, images)


def write_with_images(out, content, images):
    entries = [shard_file.write_shard(out / n, map(encode, pairs)) for n, pairs in content.items()]
    spec = {"size": 128, "grid": 32}
    store.write_sources(out, images)
    store.write_manifest(out, manifest.assemble(spec, images, entries))
    return out


@pytest.fixture(scope="module")
def sound_set(tmp_path_factory):
    return write(tmp_path_factory.mktemp("sound"), plan())


@pytest.fixture
def copy(sound_set, tmp_path):
    return shutil.copytree(sound_set, tmp_path / "set")


FIRST, SECOND, VAL, OTHER = plan()


def messages(out, level="full"):
    return [str(finding) for finding in verify.verify(out, level, workers=1)]


@pytest.mark.parametrize("level", verify.LEVELS)
def test_a_sound_set_has_no_fault(sound_set, level):
    assert messages(sound_set, level) == []


def test_several_processes_give_the_same_findings_as_one(copy):
    always = verify.PoolParameters(0, 0, 0)
    flip(copy / SECOND, 200_000)
    alone = messages(copy, "deep")
    assert [str(finding) for finding in verify.verify(copy, "deep", 2, always)] == alone != []


# --- files ---


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
    return write(tmp_path_factory.mktemp("small"), content)


def test_each_of_500_flipped_bits_is_reported_with_its_record(small):
    path = small / FIRST
    data, entry = path.read_bytes(), store.load_manifest(small).shards[0]
    records = [encode(pair) for pair in make_pairs(10, 4, size=16, grid=4)]
    spans = [(data.index(item), len(item)) for item in records]
    rng = np.random.default_rng(0)
    inside = [start + rng.integers(size) for start, size in spans for _ in range(25)]
    job = check_shard.Job(os.path.realpath(small), store.load_manifest(small), "full")
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


# --- records whose meaning is wrong, in files with correct hashes ---


def with_change(tmp_path, change, name=FIRST, number=0):
    content = plan()
    content[name] = list(content[name])
    content[name][number] = change(content[name][number])
    return write(tmp_path / "set", content)


def change_map(change):
    def damage(pair):
        map_ab = pair.map_ab.copy()
        change(map_ab, pair)
        return replace(pair, map_ab=map_ab)

    return damage


def first_visible(pair):
    return tuple(np.argwhere(pair.visible)[0])


def fold(m, pair):
    m[10:16, 10:16] = m[10:16, 10:16][:, ::-1]


DAMAGES = {
    "is an impostor pair but has a map": (
        3,
        lambda p: replace(p, map_ab=np.zeros_like(p.map_ab), visible=np.ones_like(p.visible)),
    ),
    "is impostor but shows": (3, lambda p: replace(p, finger_b=p.finger_a)),
    "is genuine but shows 'synthetic/test/train-000' and 'x'": (
        0,
        lambda p: replace(p, finger_b="x"),
    ),
    "train-000_2'": (0, lambda p: replace(p, image_id_b=IMPRESSION)),
    "is genuine-impressions but shows": (0, lambda p: replace(p, kind="genuine-impressions")),
    "1 cells whose map and visibility contradict": (
        0,
        change_map(lambda m, p: m.__setitem__(first_visible(p), np.nan)),
    ),
    "maps 1 visible cells outside": (
        0,
        change_map(lambda m, p: m.__setitem__(first_visible(p), 128.0)),
    ),
    "folds at": (0, change_map(fold)),
    "nothing is visible": (
        0,
        lambda p: replace(
            p, map_ab=np.full_like(p.map_ab, np.nan), visible=np.zeros_like(p.visible)
        ),
    ),
    "image_b of one grey level, 7": (0, lambda p: replace(p, image_b=np.full_like(p.image_b, 7))),
    "to_original_a": (0, lambda p: replace(p, to_original_a=np.zeros((2, 3)))),
    "to_original_b": (0, lambda p: replace(p, to_original_b=np.full((2, 3), np.inf))),
    "has size 64, expected 128 by the set's spec": (0, lambda p: make_pairs(1, 1, size=64)[0]),
    "has grid 16, expected 32 by the set's spec": (0, lambda p: make_pairs(1, 1, grid=16)[0]),
    "map is off by": (0, change_map(lambda m, p: np.clip(m + 1, 0, 127.4, out=m))),
    "map is wrong": (0, lambda p: replace(p, map_ab=pairs_of(24, 1)[6].map_ab,
                                     visible=pairs_of(24, 1)[6].visible)),
    "images do not agree": (0, lambda p: replace(p, image_b=pairs_of(24, 1)[8].image_b)),
    "impostor pair whose images agree": (
        3,
        lambda p: replace(p, image_b=pairs_of(24, 1)[0].image_b),
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", DAMAGES)
def test_each_damage_to_a_record_is_reported(tmp_path, message):
    number, damage = DAMAGES[message]
    out = with_change(tmp_path, damage, number=number)
    assert messages(out, "full") == []
    faults = messages(out, "deep")
    assert any(
        line.startswith(f"{FIRST}: record {number}: ") and message in line for line in faults
    )


def test_impostors_of_a_whole_shard_are_sampled(tmp_path):
    """Half of the pairs show one finger, but none of the first 16."""
    same, pairs = pairs_of(24, 1)[0], [pair for pair in make_pairs(128, 1) if not pair.genuine]
    for k in range(16, 32):
        image_a = np.roll(same.image_a, k - 24, 0)  # no pair is repeated
        pairs[k] = replace(pairs[k], image_a=image_a, image_b=same.image_b)
    out = write(tmp_path, {FIRST.replace("-of-00002", "-of-00001"): pairs})
    faults = [line for line in messages(out, "deep") if "impostor pair whose images agree" in line]
    assert 4 < len(faults) < 12  # of a sample of 16


def test_other_kinds_of_records_than_in_the_manifest_are_reported(tmp_path):
    out = write(tmp_path, {FIRST.replace("-of-00002", "-of-00001"): pairs_of(24, 1)})
    correct = store.load_manifest(out)
    (entry,) = correct.shards
    wrong = {"genuine/sensor": entry.records}
    images = read_images(out)
    store.write_manifest(
        out, manifest.assemble(correct.spec, images, [replace(entry, counts=wrong)])
    )
    assert messages(out, "full") == []
    (line,) = messages(out, "deep")
    assert "2 impostor/pressure" in line and "expected 24 genuine/sensor by the manifest" in line


def test_another_seed_than_in_the_spec_is_reported(tmp_path):
    content = plan()
    parts = store.load_manifest(write(tmp_path / "set", content)).partitions
    entries = [shard_file.describe_shard(tmp_path / "set" / name) for name in content]
    store.write_manifest(tmp_path / "set", manifest.assemble({"seed": 1}, {}, entries, parts))
    faults = messages(tmp_path / "set", "deep")
    assert f"{VAL}: record 0: has seed 2, expected 1 by the set's spec" in faults
    assert not any(FIRST in line for line in faults)


def test_a_person_in_two_splits_is_reported(tmp_path):
    change = {"finger_a": "synthetic/test/train-000", "finger_b": "synthetic/test/train-000"}
    out = with_change(tmp_path, lambda p: replace(p, **change), VAL, 2)
    assert messages(out, "deep") == [
        f"{VAL}: record 2: shows 'synthetic/test/train-000', who is in train too ({FIRST} 0)"
    ]


def test_two_fingers_of_a_nist_person_in_two_splits_are_reported(tmp_path):
    content = plan()
    for name, finger in ((FIRST, "nist/00002303/01"), (VAL, "nist/00002303/07")):
        content[name] = [replace(content[name][0], finger_a=finger, finger_b=finger)]
    faults = messages(write(tmp_path / "set", content), "deep")
    assert any("'nist/00002303', who is in train too" in line for line in faults)


def test_a_repeated_pair_is_reported_across_shards(tmp_path):
    repeated = pairs_of(24, 1)[2]
    out = with_change(tmp_path, lambda p: replace(repeated, index=p.index), SECOND, 5)
    assert messages(out, "deep") == [f"{SECOND}: record 5: has the images of {FIRST} record 2"]
    shutil.rmtree(out)
    out = with_change(tmp_path, lambda p: replace(p, index=2), SECOND, 5)
    assert messages(out, "deep") == [f"{SECOND}: record 5: has the index of {FIRST} record 2"]


def read_images(out):
    """Return partition → image id → sha256."""
    parts = store.load_manifest(out).partitions.items()
    return {name: provenance.read(out, name, p.source_hash, p.images) for name, p in parts}


def test_an_image_that_the_manifest_does_not_list_is_reported(tmp_path):
    content = plan()
    images = read_images(write(tmp_path / "set", content))
    del images["fvc2002/db1_b"]["fvc2002/db1_b/test-000_1"]
    content[SECOND] = [replace(content[SECOND][0], image_id_a="sd302/U/x", image_id_b="sd302/U/x")]
    out = write_with_images(tmp_path / "set", content, images)
    faults = messages(out, "deep")
    assert f"{SECOND}: record 0: shows 'sd302/U/x', which is not of synthetic/test" in faults
    assert any("test-000_1', which the manifest does not list" in line for line in faults)


def test_a_small_offset_of_all_maps_is_reported(tmp_path):
    def shift(pair):
        map_ab = np.clip(
            pair.map_ab + np.float32([0.2, 0]), 0, 127.4
        )  # below the limit for one map
        return replace(pair, map_ab=map_ab) if pair.genuine else pair

    content = {name: [shift(pair) for pair in pairs] for name, pairs in plan().items()}
    faults = messages(write(tmp_path / "set", content), "deep")
    assert len(faults) == 1 and faults[0].endswith("px on average")
    assert faults[0].startswith("synthetic/test: maps of its 24 genuine pairs are off by (-0.")


@pytest.mark.parametrize(("pairs", "faults"), [(0, 0), (3, 0), (4, 4)])
def test_many_inconclusive_pairs_are_faults(pairs, faults):
    """Of 2,500 pairs of two impressions three may be inconclusive."""
    entry = manifest.ShardEntry("train/a", "synthetic/a", "train", 1, "0" * 64, 2500, {})
    report = check_shard.ShardReport(entry, impressions=2500)
    findings = [Finding(entry.name, k, "images do not agree") for k in range(pairs)]
    report.inconclusive += findings
    comparison = ShardComparison()
    assert list(comparison.add(report)) == []
    assert len(list(comparison.finish())) == faults
    assert list(comparison.finish()) == []


@pytest.mark.parametrize(("kind", "faulty"), [("genuine-impressions", False), ("genuine", True)])
def test_a_line_of_common_cells_cannot_be_compared(kind, faulty):
    """Two impressions may have such a small common area; a degraded copy may not."""
    pair, *_, other = (pair for pair in make_pairs(20, 3) if pair.genuine)
    noise = "none" if kind == "genuine-impressions" else "dryness"
    inside = np.pad(np.eye(len(pair.visible) - 2, dtype=bool), 1)
    same = replace(pair, kind=kind, noise=noise, visible=pair.visible & inside)
    line = replace(same, image_b=other.image_b)  # another part of the finger
    assert line.visible.sum() > 2
    entry = manifest.ShardEntry("train/a", "synthetic/a", "train", 1, "0" * 64, 1, {})
    report = check_shard.ShardReport(entry)
    check_images = check_shard.check_images_of_genuine_pair
    assert bool(check_images(report, 0, line, DEFAULT)) == faulty
    assert report.inconclusive == [] and report.offsets == []
    assert "map is wrong" in check_images(report, 1, same, DEFAULT)[0]  # far more in common
    block = np.zeros_like(line.visible)
    block[4:6, 4:6] = True
    assert common_area(replace(line, visible=block)).any()


def test_no_record_with_a_valid_checksum_makes_the_deep_check_raise(tmp_path):
    rng = np.random.default_rng(0)
    records = []
    for pair in make_pairs(100, 5, size=16, grid=4):
        data = bytearray(encode(pair))
        for _ in range(rng.integers(1, 6)):
            start = int(rng.choice([10, 18, 32, 48, 144, 272, 784, len(data) - 40]))
            size = int(rng.integers(1, 40))
            data[start : start + size] = rng.bytes(size)
        data = data[: len(encode(pair))]
        records.append(bytes(data[:4]) + zlib.crc32(data[8:]).to_bytes(4, "little") + data[8:])
    writer = ArrayRecordWriter(str(tmp_path / "x"), shard_file.WRITER_OPTIONS)
    for data in records:
        writer.write(bytes(data))
    writer.close()
    content = (tmp_path / "x").read_bytes()
    name = manifest.shard_name("synthetic/test", "train", 0, 1)
    sha256 = hashlib.sha256(content).hexdigest()
    entry = manifest.ShardEntry(
        name, "synthetic/test", "train", len(content), sha256, 100, {"genuine/none": 100}
    )
    (tmp_path / "train").mkdir()
    (tmp_path / "x").rename(tmp_path / name)
    images = {f"synthetic/test/train-{k:03d}_1": "0" * 64 for k in range(40)}
    store.write_sources(tmp_path, {"synthetic/test": images})
    store.write_manifest(tmp_path, manifest.assemble({}, {"synthetic/test": images}, [entry]))
    assert len({finding.record for finding in verify.verify(tmp_path, "deep", workers=1)}) > 50


# --- the command ---


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
    assert np.array_equal(pair.image_b, plan()[VAL][3].image_b)
