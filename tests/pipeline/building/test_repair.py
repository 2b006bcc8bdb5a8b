"""The same build command repairs faults and builds what changed, and nothing else."""

import dataclasses
import json
import os
import random
import re
import shutil
from pathlib import Path

import cv2
import pytest
from prints import finger
from set_files import content, two_databases

import configs
from pipeline import catalog
from pipeline.building import state
from pipeline.building.build import BuildOptions, build
from shards import manifest, shard_file, store
from shards.foundation.errors import Fault
from shards.record import decode, encode
from shards.verify.verify import verify

SPEC = dataclasses.replace(configs.load().pipeline, pairs_per_shard=8)
PARTITIONS = ("fvc2002/db1_b", "fvc2002/db3_b")
FIRST = "train/fvc2002-db1_b-00000-of-00003.arrayrecord"
SECOND = "train/fvc2002-db1_b-00001-of-00003.arrayrecord"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two databases of ten fingers under FVC2002's names."""
    return two_databases(tmp_path_factory.mktemp("data"))


def build_set(root, out, spec=SPEC, partitions=PARTITIONS, warn=lambda _: None, **options):
    selection = catalog.discover([root]).select(partitions)
    return build(spec, selection, out, BuildOptions(workers=1, **options), warn)


def stamps(out):
    """When each shard was last written."""
    return {
        p.relative_to(out).as_posix(): p.stat().st_mtime_ns for p in out.glob("*/*.arrayrecord")
    }


@pytest.fixture(scope="module")
def complete_set(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("complete_set")
    build_set(images, out)
    return content(out)


@pytest.fixture
def out(complete_set, tmp_path):
    """A finished set without .build."""
    for name, data in complete_set.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(data)
    return tmp_path / "set"


# --- faults -------------------------------------------------------------------------------------


def flip(out):
    data = bytearray((out / FIRST).read_bytes())
    data[len(data) // 2] ^= 16
    (out / FIRST).write_bytes(data)


def swap(out):
    first, second = ((out / name).read_bytes() for name in (FIRST, SECOND))
    (out / FIRST).write_bytes(second)
    (out / SECOND).write_bytes(first)


def make_stale(out):
    """A shard of the same name that was built from another seed."""
    shards = store.open_set(out)
    records = shards.read("train", range(shards.manifest.shards[2].records))
    stale = [encode(dataclasses.replace(decode(data), seed=1)) for data in records]
    shard_file.write_shard(out / FIRST, stale)


def lead_out(out):
    (out / FIRST).rename(out.parent / "outside")
    (out / FIRST).symlink_to(out.parent / "outside")


def edit(change, reseal=False):
    """Change the object in manifest.json, with or without a new checksum."""

    def damage(out):
        top = json.loads((out / manifest.FILE).read_text())
        change(top)
        data = json.dumps(top).encode()
        if reseal:
            data = manifest.serialize({k: v for k, v in top.items() if k != "checksum"})
        (out / manifest.FILE).write_bytes(data)

    return damage


def sealed(**changes):
    return edit(lambda top: top["shards"][0].update(changes), reseal=True)


FAULTS = {
    "flipped bit": (flip, f"{FIRST}: record .: is damaged"),
    "truncated": (lambda out: os.truncate(out / FIRST, 199_000), f"{FIRST}: has 199000 bytes"),
    "cut at a block": (lambda out: os.truncate(out / FIRST, 65_536), f"{FIRST}: has 65536 bytes"),
    "empty": (lambda out: os.truncate(out / FIRST, 0), f"{FIRST}: has 0 bytes"),
    "missing": (lambda out: (out / FIRST).unlink(), f"{FIRST}: is missing"),
    "extra": (
        lambda out: (out / FIRST.replace("-of-00003", "-of-00009")).write_bytes(b"more"),
        "00000-of-00009.arrayrecord: is not in the manifest",
    ),
    "renamed": (
        lambda out: (out / FIRST).rename(out / FIRST.replace("-of-00003", "-of-00008")),
        f"{FIRST}: is missing",
    ),
    "swapped": (swap, f"{FIRST}: was changed after .* its content is that of {SECOND}"),
    "stale": (make_stale, f"{FIRST}: was changed after .* it is of another build"),
    "link that leads out": (lead_out, f"{FIRST}: is or lies behind a symbolic link"),
    "edited": (edit(lambda top: top["shards"][0].update(records=3)), "was changed after"),
    "edited and sealed": (sealed(sha256="0" * 64), r"was changed after it was written \(sha256\)"),
    "path that leaves": (sealed(name="../../etc/passwd"), "is not a shard name"),
    "old schema": (edit(lambda top: top.update(schema=0), reseal=True), "schema version 0"),
    "list of images lost": (
        lambda out: (out / "sources/fvc2002-db1_b.jsonl").unlink(),
        "sources/fvc2002-db1_b.jsonl: is missing",
    ),
    "list of images cut": (
        lambda out: os.truncate(out / "sources/fvc2002-db1_b.jsonl", 100),
        "sources/fvc2002-db1_b.jsonl: was changed after it was written",
    ),
    "no JSON": (lambda out: os.truncate(out / manifest.FILE, 500), "is not JSON"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_build_repairs_reported_faults(images, out, complete_set, fault):
    damage, named = FAULTS[fault]
    before = stamps(out)
    damage(out)
    findings = [str(finding) for finding in verify(out, "full", 1)]
    assert any(re.search(named, line) for line in findings), findings
    build_set(images, out)
    assert content(out) == complete_set
    assert list(verify(out, "full", 1)) == []
    if "fvc2002-db1_b" in named:  # a shard or a list of images, not the manifest
        touched = ("fvc2002-db1_b",) if "sources" in named else (FIRST, SECOND)
        others = {n: time for n, time in before.items() if not any(part in n for part in touched)}
        assert others.items() <= stamps(out).items()


@pytest.mark.parametrize("named", [True, False], ids=["after it has its name", "before"])
def test_kill_while_a_shard_is_renamed(images, tmp_path, complete_set, monkeypatch, named):
    """A shard with its final name is kept; one without is built again."""
    out, rename = tmp_path / "set", Path.replace

    class Killed(BaseException):
        pass

    def killed(self, target):
        if Path(target).suffix == ".arrayrecord":
            if named:
                rename(self, target)
            raise Killed
        rename(self, target)

    build_set(images, out)
    make_stale(out)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            build_set(images, out)
    assert (out / FIRST).exists() == named
    shards = len(stamps(out))
    assert build_set(images, out).finished_before == shards
    assert content(out) == complete_set


def test_shards_of_an_earlier_schema_are_kept(images, tmp_path, complete_set):
    """Its manifest is refused by name; notes of that time do not tell the images' hashes."""
    out = tmp_path / "set"
    build_set(images, out)
    edit(lambda top: top.update(schema=1))(out)
    for path in (out / state.FOLDER).rglob("*.arrayrecord.json"):
        noted = json.loads(path.read_text())
        del noted["hashes"]
        path.write_text(json.dumps(noted))
    with pytest.raises(Fault, match=r"schema version 1, expected 2; the command that"):
        store.open_set(out)
    before = stamps(out)
    assert build_set(images, out).finished_before == len(before)
    assert content(out) == complete_set and stamps(out) == before


def test_stray_file_is_renamed_with_a_warning(images, out, complete_set):
    (out / "train/mine.arrayrecord").write_bytes(b"somebody's")
    assert [f.file for f in verify(out, "quick", 1)] == ["train/mine.arrayrecord"]
    messages = []
    build_set(images, out, warn=messages.append)
    assert messages == [
        f"{out}/train/mine.arrayrecord: is not a shard of the set; "
        "renamed to mine.arrayrecord.stray"
    ]
    (out / "train/mine.arrayrecord").write_bytes(b"another's")
    build_set(images, out)
    set_aside = sorted(path.read_bytes() for path in out.glob("train/mine.arrayrecord.stray*"))
    assert set_aside == [b"another's", b"somebody's"]
    assert list(verify(out, "full", 1)) == []


def test_other_sets_below_are_not_touched(images, out, complete_set, tmp_path):
    """By a build above them, one with other settings too, and by the check of what it built."""
    above = tmp_path / "above"
    for below in ("mine", "train/mine"):
        shutil.copytree(out, above / below)
    left_over = ".manifest.json.0a1b2c3d.tmp"
    for name in (left_over, ".mine.tmp", f"mine/{left_over}"):  # the last of a build that goes on
        (above / name).touch()
    for seed in (0, 1):
        build_set(images, above, dataclasses.replace(SPEC, seed=seed), PARTITIONS[1:], rebuild=True)
        assert list(verify(above, "quick", 1)) == []
        assert content(above / "train/mine") == complete_set
        assert content(above / "mine").items() > complete_set.items()
    assert (above / ".mine.tmp").exists() and not (above / left_over).exists()


@pytest.mark.parametrize("folder", ["train", "sources", state.FOLDER])
def test_linked_folders_are_refused(images, out, complete_set, folder):
    """Before anything is deleted in them."""
    elsewhere = out.parent / "elsewhere"
    (out / folder).mkdir(exist_ok=True)
    (out / folder).rename(elsewhere)
    (out / folder).symlink_to(elsewhere)
    before = content(elsewhere) | {".x.0a1b2c3d.tmp": b""}
    (elsewhere / ".x.0a1b2c3d.tmp").touch()
    assert all("symbolic link" in finding.message for finding in verify(out, "quick", 1))
    with pytest.raises(Fault, match=f"{folder}: is a symbolic link"):
        build_set(images, out)
    assert content(elsewhere) == before


def test_many_faults_are_all_reported_and_repaired(images, out, complete_set):
    """A third of the shards lost, a third flipped somewhere."""
    rng = random.Random(0)
    shards = [name for name in complete_set if name.endswith("arrayrecord")]
    lost, flipped = shards[::3], shards[1::3]
    for name in lost:
        (out / name).unlink()
    for name in flipped:
        data = bytearray(complete_set[name])
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (out / name).write_bytes(data)
    assert {finding.file for finding in verify(out, "full", 1)} == {*lost, *flipped}
    build_set(images, out)
    assert content(out) == complete_set


# --- regeneration -------------------------------------------------------------------------------


def change_image(data):
    cv2.imwrite(str(data / "DB3_B/104_1.tif"), finger(7, 190, 180))


def add_image(data):
    cv2.imwrite(str(data / "DB3_B/104_2.tif"), finger(8, 190, 180))


def remove_image(data):
    (data / "DB3_B/104_1.tif").unlink()


@pytest.mark.parametrize(
    ("modify", "change"),
    [
        (change_image, "images 1 changed (fvc2002/db3_b/104_1)"),
        (add_image, "images 1 added (fvc2002/db3_b/104_2)"),
        (remove_image, "images 1 removed (fvc2002/db3_b/104_1)"),
    ],
)
def test_one_image_rebuilds_only_its_partition(data, out, tmp_path, modify, change):
    """Also where all partitions are selected."""
    before, old = stamps(out), store.load_manifest(out)
    modify(data)
    messages = []
    build_set(data, out, warn=messages.append)
    assert messages == [f"fvc2002/db3_b: {change} since it was built; it is built again"]
    unchanged = {name: time for name, time in before.items() if "db1_b" in name}
    assert unchanged.items() <= stamps(out).items()
    now = store.load_manifest(out)
    assert now.partitions[PARTITIONS[0]] == old.partitions[PARTITIONS[0]]
    assert now.partitions[PARTITIONS[1]] != old.partitions[PARTITIONS[1]]
    build_set(data, tmp_path / "fresh")
    assert content(out) == content(tmp_path / "fresh")


def test_selected_partition_is_built_again_and_others_are_kept(data, out, complete_set):
    """The images of the others need not exist."""
    for name in complete_set:
        if "db3_b" in name:
            (out / name).unlink()
    before = stamps(out)
    for path in (data / "DB1_B").iterdir():
        path.unlink()
    build_set(data, out, partitions=PARTITIONS[1:])
    assert content(out) == complete_set
    assert before.items() <= stamps(out).items()


def test_other_setting_rebuilds_nothing_without_the_option(images, out, complete_set):
    before = stamps(out)
    with pytest.raises(Fault, match=r"pairs_per_shard was 8, is now 16\. Nothing was changed"):
        build_set(images, out, dataclasses.replace(SPEC, pairs_per_shard=16))
    assert content(out) == complete_set
    assert stamps(out) == before
