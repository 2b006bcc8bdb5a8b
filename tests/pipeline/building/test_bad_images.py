"""Builds with bad images, a full disk, and a folder that is not available."""

import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from set_files import PARTITIONS, SPEC, build_set, content

from pipeline.building import build as builder
from pipeline.building import worker
from pipeline.building.lock import lock_output
from pipeline.imaging.file import read
from shards import manifest, provenance, record, store
from shards.foundation.errors import Fault, Misuse
from shards.verify.verify import verify


def spoil(data):
    """Replace four images by bad ones; return name → reason."""
    good = cv2.imread(str(data / "DB1_B/101_1.tif"), cv2.IMREAD_GRAYSCALE)
    (data / "DB1_B/101_1.tif").write_bytes(b"no image")
    cv2.imwrite(str(data / "DB1_B/104_2.tif"), good.astype(np.uint16))
    cv2.imwrite(str(data / "DB3_B/103_1.tif"), np.full((200, 200), 128, np.uint8))
    cv2.imwrite(str(data / "DB3_B/109_1.tif"), np.dstack([good] * 4))
    return {
        "DB1_B/101_1.tif": "does not decode",
        "DB1_B/104_2.tif": "has 16-bit grey up to",
        "DB3_B/103_1.tif": "no foreground",
        "DB3_B/109_1.tif": "transparent",
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_all_bad_images_are_named_and_no_manifest_is_written(data, tmp_path, workers):
    expected = spoil(data)
    with pytest.raises(Fault) as fault:
        build_set(data, tmp_path / "out", workers=workers)
    lines = str(fault.value).splitlines()
    assert lines[0].startswith("4 images cannot be used") and fault.value.exit_code == 1
    for line, (name, reason) in zip(lines[1:], sorted(expected.items()), strict=True):
        assert line.startswith(f"  {data / name}: ") and reason in line
    assert not (tmp_path / "out" / manifest.FILE).exists()


def test_bad_images_can_be_skipped_and_are_listed(data, tmp_path, complete_set):
    expected = spoil(data)
    report = build_set(data, tmp_path / "out", skip_bad=True)
    lines = [json.loads(x) for x in (tmp_path / "out/quarantine.jsonl").read_text().splitlines()]
    assert [Path(x["path"]).relative_to(data).as_posix() for x in lines] == sorted(expected)
    assert all(expected[Path(x["path"]).relative_to(data).as_posix()] in x["reason"] for x in lines)
    assert len(report.bad) == 4
    assert list(verify(tmp_path / "out", "deep", 1)) == []
    ids = {b.image_id for b in report.bad}
    shards = store.open_set(tmp_path / "out")
    pairs = [
        record.decode(d) for s in manifest.SPLITS for d in shards.read(s, range(shards.count(s)))
    ]
    assert not any(ids & {p.image_id_a, p.image_id_b} for p in pairs)
    assert len(pairs) < 120
    before = content(tmp_path / "out")
    with pytest.raises(Fault, match="4 images cannot be used"):  # without the flag
        build_set(data, tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_images_left_out_before_are_refused_with_new_bad_ones(data, tmp_path):
    """Both are named: the one that was left out before, and the one that is bad now."""
    (data / "DB1_B/101_1.tif").write_bytes(b"no image")
    build_set(data, tmp_path / "out", skip_bad=True)
    (data / "DB3_B/103_1.tif").write_bytes(b"no image either")
    with pytest.raises(Fault, match=r"2 images cannot be used(.|\n)*DB1_B/101_1(.|\n)*DB3_B/103_1"):
        build_set(data, tmp_path / "out")
    assert set(store.load_manifest(tmp_path / "out").partitions) == {PARTITIONS[0]}


def test_damaged_lines_of_the_quarantine_are_dropped_with_a_warning(
    data, images, tmp_path, monkeypatch
):
    """Lines of partitions that are not built now are kept; the file is written atomically."""
    out = tmp_path / "out"
    (data / "DB1_B/101_1.tif").write_bytes(b"no image")
    build_set(data, out, skip_bad=True)
    path, (line,) = out / "quarantine.jsonl", (out / "quarantine.jsonl").read_bytes().splitlines()
    odd = [
        b'{"image_id": ',
        b"\xff\xfe",
        b'{"image_id": 1, "path": "", "reason": ""}',
        b"[" * 100_000,
    ]
    path.write_bytes(b"\n".join([line, *odd]))
    (out / "train/fvc2002-db3_b-00000-of-00077.arrayrecord").write_bytes(b"of an earlier plan")
    messages = []
    build_set(data, out, partitions=PARTITIONS[1:], warn=messages.append)
    assert messages == [f"{path}: 4 damaged lines are left out"]
    assert path.read_bytes() == line + b"\n"
    assert list(verify(out, "quick", 1)) == []

    def fail(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Fault, match=r"quarantine\.jsonl: cannot be written"):
        build_set(data, out, skip_bad=True)


def test_images_of_a_deleted_partition_are_listed_no_longer(data, tmp_path):
    (data / "DB1_B/101_1.tif").write_bytes(b"no image")
    build_set(data, tmp_path / "out", skip_bad=True)
    assert (tmp_path / "out/quarantine.jsonl").exists()
    other = dataclasses.replace(SPEC, seed=1)
    build_set(data, tmp_path / "out", other, PARTITIONS[1:], rebuild=True)
    assert not (tmp_path / "out/quarantine.jsonl").exists()


def test_repaired_images_are_used_again(data, images, tmp_path, complete_set):
    expected = spoil(data)
    build_set(data, tmp_path / "out", skip_bad=True)
    for name in expected:
        (data / name).write_bytes((images / name).read_bytes())
    build_set(data, tmp_path / "out")
    assert content(tmp_path / "out") == complete_set


@pytest.mark.parametrize("skip_bad", [False, True])
def test_image_deleted_during_the_build_is_named(data, tmp_path, monkeypatch, skip_bad):
    """It is deleted between listing and building; it is not counted as a bad image."""
    plan_shards = builder.plan.plan_shards
    victim = data / "DB3_B/104_1.tif"

    def unlink_first(*arguments):
        victim.unlink()
        return plan_shards(*arguments)

    monkeypatch.setattr(builder.plan, "plan_shards", unlink_first)
    with pytest.raises(Fault, match=r"104_1\.tif: cannot be read"):
        build_set(data, tmp_path / "out", skip_bad=skip_bad)
    assert not (tmp_path / "out" / manifest.FILE).exists()


def test_provenance_has_the_hashes_of_the_decoded_bytes(data, tmp_path, monkeypatch):
    """Each image is read once: the hashed bytes are the decoded ones."""
    reads = []
    monkeypatch.setattr(worker, "read", lambda path: reads.append(path) or read(path))
    build_set(data, tmp_path / "out")
    assert sorted(reads) == sorted(data.glob("*/*.tif"))
    part = store.load_manifest(tmp_path / "out").partitions[PARTITIONS[1]]
    listed = provenance.read(tmp_path / "out", PARTITIONS[1], part.source_hash, part.images)
    assert listed == {
        f"fvc2002/db3_b/{path.stem}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in data.glob("DB3_B/*.tif")
    }


def test_output_that_is_a_file_is_misuse(images, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(Misuse, match="is a file"):
            build_set(images, out)
    assert (tmp_path / "file").read_text() == "mine"


def test_full_disk_is_reported_before_the_start(images, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Fault, match=r"needs 6 MB, the disk has 1 MB"):
        build_set(images, tmp_path)
    assert not list(tmp_path.rglob("*.arrayrecord"))


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(Fault, match=r"has no locks \(flock\)"), lock_output(tmp_path):
        pass


def test_second_build_into_the_same_folder_is_refused(images, tmp_path):
    with lock_output(tmp_path), pytest.raises(Fault, match="another build is writing here"):
        build_set(images, tmp_path)
    with lock_output(tmp_path, "0-of-2"):
        build_set(images, tmp_path, piece=(1, 2))
        for piece in ((0, 2), (0, 1)):
            with pytest.raises(Fault, match="another build"):
                build_set(images, tmp_path, piece=piece)
