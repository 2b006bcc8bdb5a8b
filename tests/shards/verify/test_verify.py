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
from shards.verify.check_correspondence import in_common

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
    """A set of this content whose manifest is right about it."""
    images = {"synthetic/test": {IMPRESSION: "0" * 64}, "fvc2002/db1_b": {}}
    for name, pairs in content.items():
        for pair in pairs:
            for image_id in (pair.image_id_a, pair.image_id_b):
                images[manifest.parse_name(name)[0]][image_id] = "0" * 64
    return seal(out, content, images)


def seal(out, content, images):
    entries = [shard_file.write_shard(out / n, map(encode, pairs)) for n, pairs in content.items()]
    spec = {"size": 128, "grid": 32}
    store.write_sources(out, images)
    store.write_manifest(out, manifest.assemble(spec, images, entries))
    return out


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return write(tmp_path_factory.mktemp("sound"), plan())


@pytest.fixture
def copy(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "set")


FIRST, SECOND, VAL, OTHER = plan()


def found(out, level="full"):
    return [str(finding) for finding in verify.verify(out, level, workers=1)]


@pytest.mark.parametrize("level", verify.LEVELS)
def test_a_sound_set_has_no_fault(sound, level):
    assert found(sound, level) == []


def test_processes_find_what_one_finds(copy, monkeypatch):
    monkeypatch.setattr(verify, "POOL_FROM", dict.fromkeys(verify.LEVELS, 0))
    flip(copy / SECOND, 200_000)
    alone = found(copy, "deep")
    assert [str(finding) for finding in verify.verify(copy, "deep", workers=2)] == alone != []


# --- files ---


def flip(path, at, bit=3):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A set of two shards with records of 1 kB, to be damaged many times."""
    pairs = make_pairs(20, 4, size=16, grid=4)
    name = manifest.shard_name
    content = {name("synthetic/test", "train", k, 2): pairs[10 * k : 10 * k + 10] for k in (0, 1)}
    return write(tmp_path_factory.mktemp("small"), content)


def test_500_flipped_bits_are_all_found_and_the_record_named(small):
    path = small / FIRST
    whole, entry = path.read_bytes(), store.load_manifest(small).shards[0]
    records = [encode(pair) for pair in make_pairs(10, 4, size=16, grid=4)]
    spans = [(whole.index(data), len(data)) for data in records]
    rng = np.random.default_rng(0)
    inside = [start + rng.integers(size) for start, size in spans for _ in range(25)]
    job = check_shard.Job(os.path.realpath(small), store.load_manifest(small), "full")
    for at in [*rng.integers(len(whole), size=250), *inside]:
        flip(path, at, int(rng.integers(8)))
        report = check_shard.check_shard(job, entry)
        assert report.findings or report.sha256, f"bit at {at} not found"
        hit = [k for k, (start, size) in enumerate(spans) if start <= at < start + size]
        assert [f.record for f in report.findings if f.record is not None] == hit
        path.write_bytes(whole)


def test_100_truncations_are_all_found_at_a_quick_look(small):
    path = small / FIRST
    whole = path.read_bytes()
    lengths = np.random.default_rng(0).integers(len(whole), size=97)
    for length in (0, 65_536, len(whole) - 1, *lengths):
        path.write_bytes(whole[:length])
        assert found(small, "quick") == [
            f"{FIRST}: has {length} bytes, expected {len(whole)} by the manifest"
        ]
    path.write_bytes(whole)


def test_a_missing_an_extra_and_a_renamed_shard(copy):
    (copy / FIRST).rename(copy / "train" / "elsewhere.arrayrecord")
    assert found(copy, "quick") == [
        "train/elsewhere.arrayrecord: is not in the manifest",
        f"{FIRST}: is missing",
    ]


def test_swapped_shards_are_told_apart(copy):
    (copy / FIRST).rename(copy / "x")
    (copy / SECOND).rename(copy / FIRST)
    (copy / "x").rename(copy / SECOND)
    assert found(copy) == [
        f"{FIRST}: holds other bytes than were written (sha256): they are those of {SECOND}",
        f"{SECOND}: holds other bytes than were written (sha256): they are those of {FIRST}",
    ]


def test_a_stale_shard_is_found(copy):
    shard_file.write_shard(copy / FIRST, map(encode, make_pairs(12, 99)))
    faults = found(copy)
    assert len(faults) == 1 and "stale" in faults[0]


def test_a_shard_of_another_count_is_found_at_a_quick_look(copy):
    entry = shard_file.write_shard(copy / FIRST, map(encode, make_pairs(11, 1)))
    with (copy / manifest.FILE).open() as file:
        top = json.load(file)
    listed = next(item for item in top["shards"] if item["name"] == FIRST)
    listed["bytes"] = entry.bytes  # as if the size had agreed by chance
    (copy / manifest.FILE).write_text(json.dumps(top))
    assert f"{FIRST}: has 11 records, expected 12 by the manifest" in found(copy, "quick")


def test_a_damaged_record_and_an_unreadable_shard_are_named_together(copy):
    flip(copy / FIRST, 300_000)
    (copy / OTHER).unlink()
    faults = found(copy)
    assert faults[0] == f"{OTHER}: is missing"
    assert faults[1] == f"{FIRST}: holds other bytes than were written (sha256)"
    assert faults[2].startswith(f"{FIRST}: record ") and "is damaged" in faults[2]
    assert len(faults) == 3


def edit(out, change):
    path = out / manifest.FILE
    top = json.loads(path.read_text())
    change(top)
    path.write_text(json.dumps(top))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda top: top["spec"].update(size=64), "checksum"),
        (lambda top: top["shards"][0].update(name="../../etc/passwd"), "is not a shard name"),
        (lambda top: top["shards"][0].update(name="/etc/passwd"), "is not a shard name"),
        (lambda top: top.update(schema=0), "schema version 0"),
        (lambda top: top["shards"].pop(), "not all of one set|does not describe|do not add up"),
    ],
)
def test_an_edited_manifest_is_found_and_its_sound_files_are_still_checked(copy, change, what):
    edit(copy, change)
    assert any(re.search(what, line) for line in found(copy, "quick"))
    result = CliRunner().invoke(main, ["verify", str(copy), "--quick"])
    assert result.exit_code == 1


def test_a_list_of_images_that_was_changed_or_lost_is_found(copy):
    """At every level; the shards are checked all the same."""
    path = copy / provenance.file_name("synthetic/test")
    path.write_bytes(path.read_bytes().replace(b"000_2", b"999_2"))
    (copy / provenance.file_name("fvc2002/db1_b")).unlink()
    for level in verify.LEVELS:
        assert found(copy, level) == [
            "sources/fvc2002-db1_b.jsonl: is missing",
            "sources/synthetic-test.jsonl: was changed after it was written (sha256)",
        ]


def test_a_link_that_leads_out_is_found(copy, tmp_path):
    (copy / FIRST).rename(tmp_path / "outside")
    (copy / FIRST).symlink_to(tmp_path / "outside")
    assert "symbolic link" in found(copy, "quick")[0]


# --- meaning: every file and hash is right, a record is not ---


def with_change(tmp_path, change, name=FIRST, number=0):
    content = plan()
    content[name] = list(content[name])
    content[name][number] = change(content[name][number])
    return write(tmp_path / "set", content)


def at(pair, **changes):
    return replace(pair, **changes)


def harmed_map(change):
    def harm(pair):
        map_ab = pair.map_ab.copy()
        change(map_ab, pair)
        return replace(pair, map_ab=map_ab)

    return harm


def first_visible(pair):
    return tuple(np.argwhere(pair.visible)[0])


def fold(m, pair):
    m[10:16, 10:16] = m[10:16, 10:16][:, ::-1]


HARMS = {
    "is an impostor pair but has a map": (
        3,
        lambda p: at(p, map_ab=np.zeros_like(p.map_ab), visible=np.ones_like(p.visible)),
    ),
    "is impostor but shows": (3, lambda p: at(p, finger_b=p.finger_a)),
    "is genuine but shows 'synthetic/test/train-000' and 'x'": (0, lambda p: at(p, finger_b="x")),
    "train-000_2'": (0, lambda p: at(p, image_id_b=IMPRESSION)),
    "is genuine-impressions but shows": (0, lambda p: at(p, kind="genuine-impressions")),
    "1 cells whose map and visibility contradict": (
        0,
        harmed_map(lambda m, p: m.__setitem__(first_visible(p), np.nan)),
    ),
    "maps 1 visible cells outside": (
        0,
        harmed_map(lambda m, p: m.__setitem__(first_visible(p), 128.0)),
    ),
    "folds at": (0, harmed_map(fold)),
    "nothing is visible": (
        0,
        lambda p: at(
            p, map_ab=np.full_like(p.map_ab, np.nan), visible=np.zeros_like(p.visible)
        ),
    ),
    "image_b of one grey level, 7": (0, lambda p: at(p, image_b=np.full_like(p.image_b, 7))),
    "to_original_a": (0, lambda p: at(p, to_original_a=np.zeros((2, 3)))),
    "to_original_b": (0, lambda p: at(p, to_original_b=np.full((2, 3), np.inf))),
    "has size 64, the set's spec says 128": (0, lambda p: make_pairs(1, 1, size=64)[0]),
    "has grid 16, the set's spec says 32": (0, lambda p: make_pairs(1, 1, grid=16)[0]),
    "map is off by": (0, harmed_map(lambda m, p: np.clip(m + 1, 0, 127.4, out=m))),
    "map is wrong": (0, lambda p: at(p, map_ab=pairs_of(24, 1)[6].map_ab,
                                     visible=pairs_of(24, 1)[6].visible)),
    "images do not agree": (0, lambda p: at(p, image_b=pairs_of(24, 1)[8].image_b)),
    "impostor pair whose images agree": (3, lambda p: at(p, image_b=pairs_of(24, 1)[0].image_b)),
}  # fmt: skip


@pytest.mark.parametrize("what", HARMS)
def test_each_harm_to_a_record_is_found_and_named(tmp_path, what):
    number, harm = HARMS[what]
    out = with_change(tmp_path, harm, number=number)
    assert found(out, "full") == []
    faults = found(out, "deep")
    assert any(line.startswith(f"{FIRST}: record {number}: ") and what in line for line in faults)


def test_impostors_are_searched_wherever_in_a_shard_they_lie(tmp_path):
    """Half of them show one finger, but none of the first 16."""
    same, pairs = pairs_of(24, 1)[0], [pair for pair in make_pairs(128, 1) if not pair.genuine]
    for k in range(16, 32):
        image_a = np.roll(same.image_a, k - 24, 0)  # no pair twice
        pairs[k] = at(pairs[k], image_a=image_a, image_b=same.image_b)
    out = write(tmp_path, {FIRST.replace("-of-00002", "-of-00001"): pairs})
    faults = [line for line in found(out, "deep") if "impostor pair whose images agree" in line]
    assert 4 < len(faults) < 12  # of the 16 drawn


def test_other_kinds_of_records_than_the_manifest_counts_are_found(tmp_path):
    out = write(tmp_path, {FIRST.replace("-of-00002", "-of-00001"): pairs_of(24, 1)})
    sound = store.load_manifest(out)
    (entry,) = sound.shards
    wrong = {"genuine/sensor": entry.records}
    images = listed(out)
    store.write_manifest(out, manifest.assemble(sound.spec, images, [replace(entry, counts=wrong)]))
    assert found(out, "full") == []
    (line,) = found(out, "deep")
    assert "2 impostor/pressure" in line and "the manifest says 24 genuine/sensor" in line


def test_another_seed_than_the_specs_is_found(tmp_path):
    content = plan()
    parts = store.load_manifest(write(tmp_path / "set", content)).partitions
    entries = [shard_file.describe_shard(tmp_path / "set" / name) for name in content]
    store.write_manifest(tmp_path / "set", manifest.assemble({"seed": 1}, {}, entries, parts))
    faults = found(tmp_path / "set", "deep")
    assert f"{VAL}: record 0: has seed 2, the set's spec says 1" in faults
    assert not any(FIRST in line for line in faults)


def test_a_person_in_two_splits_is_found(tmp_path):
    change = {"finger_a": "synthetic/test/train-000", "finger_b": "synthetic/test/train-000"}
    out = with_change(tmp_path, lambda p: at(p, **change), VAL, 2)
    assert found(out, "deep") == [
        f"{VAL}: record 2: shows 'synthetic/test/train-000', who is in train too ({FIRST} 0)"
    ]


def test_two_fingers_of_a_nist_person_in_two_splits_are_found(tmp_path):
    content = plan()
    for name, finger in ((FIRST, "nist/00002303/01"), (VAL, "nist/00002303/07")):
        content[name] = [at(content[name][0], finger_a=finger, finger_b=finger)]
    faults = found(write(tmp_path / "set", content), "deep")
    assert any("'nist/00002303', who is in train too" in line for line in faults)


def test_a_pair_twice_is_found_across_shards(tmp_path):
    again = pairs_of(24, 1)[2]
    out = with_change(tmp_path, lambda p: at(again, index=p.index), SECOND, 5)
    assert found(out, "deep") == [f"{SECOND}: record 5: has the images of {FIRST} record 2"]
    shutil.rmtree(out)
    out = with_change(tmp_path, lambda p: at(p, index=2), SECOND, 5)
    assert found(out, "deep") == [f"{SECOND}: record 5: has the index of {FIRST} record 2"]


def listed(out):
    """Partition → image id → sha256."""
    parts = store.load_manifest(out).partitions.items()
    return {name: provenance.read(out, name, p.source_hash, p.images) for name, p in parts}


def test_an_image_that_the_manifest_does_not_list_is_found(tmp_path):
    content = plan()
    images = listed(write(tmp_path / "set", content))
    del images["fvc2002/db1_b"]["fvc2002/db1_b/test-000_1"]
    content[SECOND] = [at(content[SECOND][0], image_id_a="sd302/U/x", image_id_b="sd302/U/x")]
    out = seal(tmp_path / "set", content, images)
    faults = found(out, "deep")
    assert f"{SECOND}: record 0: shows 'sd302/U/x', which is not of synthetic/test" in faults
    assert any("test-000_1', which the manifest does not list" in line for line in faults)


def test_maps_that_are_all_a_little_off_are_found(tmp_path):
    def drifted(pair):
        map_ab = np.clip(pair.map_ab + np.float32([0.2, 0]), 0, 127.4)  # too little for one alone
        return replace(pair, map_ab=map_ab) if pair.genuine else pair

    content = {name: [drifted(pair) for pair in pairs] for name, pairs in plan().items()}
    faults = found(write(tmp_path / "set", content), "deep")
    assert len(faults) == 1 and faults[0].endswith("px on average")
    assert faults[0].startswith("synthetic/test: maps of its 24 genuine pairs are off by (-0.")


@pytest.mark.parametrize(("silent", "told"), [(0, 0), (3, 0), (4, 4)])
def test_silent_pairs_are_faults_where_they_are_many(silent, told):
    """Of 2,500 pairs of two impressions three may say nothing."""
    entry = manifest.ShardEntry("train/a", "synthetic/a", "train", 1, "0" * 64, 2500, {})
    report = check_shard.ShardReport(entry, impressions=2500)
    report.silent += [Finding(entry.name, k, "images do not agree") for k in range(silent)]
    whole = verify._Whole()
    assert list(whole.take(report)) == []
    assert len(list(whole.finish())) == told
    assert list(whole.finish()) == []


@pytest.mark.parametrize(("kind", "judged"), [("genuine-impressions", False), ("genuine", True)])
def test_a_line_of_cells_in_common_is_nothing_to_compare(kind, judged):
    """Two impressions may meet in so little; one image twice never does."""
    pair, *_, other = (pair for pair in make_pairs(20, 3) if pair.genuine)
    noise = "none" if kind == "genuine-impressions" else "dryness"
    inside = np.pad(np.eye(len(pair.visible) - 2, dtype=bool), 1)
    same = replace(pair, kind=kind, noise=noise, visible=pair.visible & inside)
    line = replace(same, image_b=other.image_b)  # another part of the finger
    assert line.visible.sum() > 2
    entry = manifest.ShardEntry("train/a", "synthetic/a", "train", 1, "0" * 64, 1, {})
    report = check_shard.ShardReport(entry)
    assert bool(check_shard._agreement(report, 0, line)) == judged
    assert report.silent == [] and report.offsets == []
    assert (
        "map is wrong" in check_shard._agreement(report, 1, same)[0]
    )  # they have far more in common
    block = np.zeros_like(line.visible)
    block[4:6, 4:6] = True
    assert in_common(replace(line, visible=block)).any()


def test_no_record_under_a_right_checksum_makes_the_deep_check_crash(tmp_path):
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


def test_exit_codes_and_lines(sound, copy, tmp_path):
    run = CliRunner().invoke
    assert run(main, ["verify", str(sound)]).exit_code == 0
    (copy / FIRST).unlink()
    result = run(main, ["verify", str(copy), "--quick"])
    assert result.exit_code == 1 and f"{FIRST}: is missing\n" in result.stdout
    result = run(main, ["verify", str(tmp_path / "nothing")])
    assert result.exit_code == 2 and "no shard set here" in result.stderr


def test_json_holds_every_fault(copy):
    flip(copy / FIRST, 300_000)
    result = CliRunner().invoke(main, ["verify", str(copy), "--json"])
    told = json.loads(result.stdout)
    assert result.exit_code == 1 and told["sound"] is False and told["level"] == "full"
    assert [(f["file"], f["record"] is None) for f in told["faults"]] == [
        (FIRST, True), (FIRST, False)
    ]  # fmt: skip


def test_a_decoded_record_is_what_was_written(sound):
    shards = store.open_set(sound)
    pair = decode(shards.read("val", [3])[0])
    assert np.array_equal(pair.image_b, plan()[VAL][3].image_b)
