"""Resumed builds: interrupted, damaged, with other images or settings."""

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import cv2
import pytest
from prints import finger
from set_files import PARTITIONS, SPEC, build_set, command, content

from pipeline.building import state, worker
from shards import manifest, store
from shards.foundation import pool
from shards.foundation.errors import Fault
from shards.verify.verify import verify

ROOT = Path(__file__).parents[3]


def test_intact_shards_are_kept_and_others_repaired(images, tmp_path, complete_set):
    """Lost, damaged, swapped and stray shards and a lost manifest are repaired."""
    build_set(images, tmp_path)
    names = [name for name in complete_set if name.endswith("arrayrecord")]
    (tmp_path / names[0]).unlink()
    damaged = bytearray(complete_set[names[1]])
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / names[1]).write_bytes(damaged)
    (tmp_path / names[2]).write_bytes(complete_set[names[3]])
    (tmp_path / names[4]).rename(tmp_path / names[4].replace("-of-", "-of-9"))
    (tmp_path / manifest.FILE).unlink()
    (tmp_path / "train/.half.arrayrecord.0a1b2c3d.tmp").write_bytes(b"of a killed build")
    untouched = names[5:]
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in untouched}
    report = build_set(images, tmp_path)
    assert content(tmp_path) == complete_set
    assert report.finished_before == len(names) - 4
    assert before == {name: (tmp_path / name).stat().st_mtime_ns for name in untouched}


def test_finished_set_needs_no_state(images, tmp_path, complete_set):
    """Without .build, shards that the manifest lists are kept."""
    build_set(images, tmp_path)
    for path in sorted((tmp_path / state.FOLDER).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    report = build_set(images, tmp_path)
    assert report.finished_before == len(report.entries)
    assert content(tmp_path) == complete_set


def test_damaged_manifest_is_written_again(images, tmp_path, complete_set):
    build_set(images, tmp_path)
    (tmp_path / manifest.FILE).write_text("{")
    messages = []
    report = build_set(images, tmp_path, warn=messages.append)
    assert "manifest.json is not JSON" in messages[0]
    assert report.finished_before == len(report.entries)
    assert content(tmp_path) == complete_set


def test_killed_build_resumes_to_the_same_bytes(images, tmp_path, complete_set):
    half_built = 0
    for finished in range(3):
        process = subprocess.Popen(
            command(images, tmp_path, "--workers", "2"),
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        while process.poll() is None and not has_progressed(tmp_path, finished):
            time.sleep(0.002)
        process.kill()
        process.wait()
        if (tmp_path / manifest.FILE).exists():
            assert list(verify(tmp_path, "deep", 1)) == []
        else:
            half_built += has_progressed(tmp_path, finished)
    assert half_built
    build_set(images, tmp_path)
    assert content(tmp_path) == complete_set


def has_progressed(out, finished):
    """Whether a build has finished so many shards and has begun another one."""
    return len(list(out.glob("*/*.arrayrecord"))) >= finished and bool(list(out.glob("t*/.*.tmp")))


def test_temporary_files_of_a_lost_machine_are_deleted(images, tmp_path, complete_set, monkeypatch):
    """Its shard is built elsewhere; its temporary file stays behind."""

    def engine(work, tasks, workers):
        for task in tasks:
            yield work(task)
            (tmp_path / task.shard.name).with_name(".half.arrayrecord.0a1b2c3d.tmp").write_bytes(
                b""
            )

    monkeypatch.setattr(pool, "run", engine)
    build_set(images, tmp_path)
    assert content(tmp_path) == complete_set


def has_ended(group):
    """Whether all processes of the group end shortly after their leader."""
    for _ in range(500):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def start_and_hold(images, out):
    """A build of two workers that is held (SIGSTOP) when its first shard is finished."""
    process = subprocess.Popen(
        command(images, out, "--workers", "2"),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(out.glob("train/*.arrayrecord")) and process.poll() is None:
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGSTOP)
    return process


def hold_unfinished(images, out, attempts=5):
    """The same, in the middle of the build: on a busy machine it may be done before it is seen."""
    for _ in range(attempts):
        process = start_and_hold(images, out)
        if process.poll() is None and not (out / manifest.FILE).exists():
            return process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        shutil.rmtree(out)
    return pytest.fail(f"all of {attempts} builds were done before they were seen")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_a_build_cleanly(images, tmp_path, complete_set, number):
    """It ends with a message and without processes or partial files; then it can be resumed."""
    out = tmp_path / "out"
    process = hold_unfinished(images, out)
    if number == signal.SIGINT:  # which a terminal sends to all
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    os.killpg(process.pid, signal.SIGCONT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "finished shards are kept: run the same command again" in stderr
    assert "Traceback" not in stderr
    assert not (out / manifest.FILE).exists()
    assert not list(out.rglob("*.tmp"))
    assert has_ended(process.pid)
    build_set(images, out)
    assert content(out) == complete_set


def test_only_the_selected_partition_is_built(data, tmp_path):
    out = tmp_path / "out"
    build_set(data, out)
    old = store.load_manifest(out)
    stamps = {p: p.stat().st_mtime_ns for p in out.glob("*/fvc2002-db1_b-*")}
    cv2.imwrite(str(data / "DB3_B" / "104_1.tif"), finger(7, 190, 180))
    (data / "DB3_B" / "105_1.tif").unlink()
    cv2.imwrite(str(data / "DB3_B" / "106_2.tif"), finger(8, 190, 180))
    messages = []
    build_set(data, out, partitions=PARTITIONS[1:], warn=messages.append)
    assert messages == [
        "fvc2002/db3_b: images 1 changed (fvc2002/db3_b/104_1), 1 added (fvc2002/db3_b/106_2), "
        "1 removed (fvc2002/db3_b/105_1) since it was built; it is built again"
    ]
    now = store.load_manifest(out)
    assert now.partitions[PARTITIONS[0]] == old.partitions[PARTITIONS[0]]
    assert now.partitions[PARTITIONS[1]] != old.partitions[PARTITIONS[1]]
    assert stamps == {p: p.stat().st_mtime_ns for p in out.glob("*/fvc2002-db1_b-*")}
    assert list(verify(out, "deep", 1)) == []
    build_set(data, tmp_path / "fresh")
    assert content(out) == content(tmp_path / "fresh")


def test_manifest_does_not_list_a_partition_that_is_being_built(data, tmp_path, monkeypatch):
    build_set(data, tmp_path / "out")
    (data / "DB3_B" / "105_1.tif").unlink()

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "build_shard", crash)
    with pytest.raises(Fault, match="stopped"):
        build_set(data, tmp_path / "out")
    assert set(store.load_manifest(tmp_path / "out").partitions) == {PARTITIONS[0]}


def test_other_settings_are_refused_with_the_difference(images, tmp_path, complete_set):
    build_set(images, tmp_path)
    other = dataclasses.replace(SPEC, seed=7, elastic=2.0)
    with pytest.raises(Fault, match=r"elastic was 0.0, is now 2.0; seed was 0, is now 7\. Nothing"):
        build_set(images, tmp_path, other)
    assert content(tmp_path) == complete_set
    messages = []
    build_set(images, tmp_path, other, rebuild=True, warn=messages.append)
    assert "all of it is built again" in messages[0]
    assert store.load_manifest(tmp_path).spec["seed"] == 7
    build_set(images, tmp_path, rebuild=True)
    assert content(tmp_path) == complete_set


def test_other_settings_of_an_unfinished_set_are_refused(images, tmp_path):
    build_set(images, tmp_path, piece=(0, 2))
    with pytest.raises(Fault, match="seed was 0, is now 1"):
        build_set(images, tmp_path, dataclasses.replace(SPEC, seed=1), piece=(1, 2))
