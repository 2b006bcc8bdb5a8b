"""Build: the same bytes in every way, nothing lost, no partial files, every fault named."""

import dataclasses
import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from built import content
from click.testing import CliRunner
from prints import finger

import configs
from pipeline import catalog
from pipeline.__main__ import main
from pipeline.building import build as builder
from pipeline.building import state, worker
from pipeline.building.build import BuildOptions, build
from pipeline.building.lock import lock_output
from pipeline.imaging.file import read
from pipeline.synthesis.encode import encode
from shards import manifest, provenance, record, store
from shards.foundation import pool
from shards.foundation.errors import Fault, Misuse
from shards.verify.verify import verify

ROOT = Path(__file__).parents[3]
SPEC = dataclasses.replace(configs.load().pipeline, pairs_per_shard=20)
PARTITIONS = ("fvc2002/db1_b", "fvc2002/db3_b")


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Two databases of ten fingers, one and two impressions, under FVC2002's names."""
    root = tmp_path_factory.mktemp("data")
    for database, impressions, light in (("DB1_B", 2, 250), ("DB3_B", 1, 110)):
        (root / database).mkdir()
        for number in range(101, 111):
            for k in range(1, impressions + 1):
                image = finger([light, number, k], 220, 200, light, light // 4)
                cv2.imwrite(str(root / database / f"{number}_{k}.tif"), image)
    return root


def selected(root, partitions=PARTITIONS):
    return catalog.discover([root]).select(partitions)


def build_set(root, out, spec=SPEC, partitions=PARTITIONS, warn=lambda _: None, **options):
    options = BuildOptions(**{"workers": 1, **options})
    return build(spec, selected(root, partitions), out, options, warn)


@pytest.fixture(scope="session")
def complete_set(images, tmp_path_factory):
    """The files of the set, to which every build must lead."""
    out = tmp_path_factory.mktemp("complete_set")
    build_set(images, out)
    return content(out)


def command(root, out, *more):
    return [
        *(sys.executable, "-m", "pipeline", "build", "--out", str(out), "--data", str(root)),
        *("--partition", ",".join(PARTITIONS), "--set", "pipeline.pairs_per_shard=20", *more),
    ]


# --- contents ----------------------------------------------------------------------------


def test_set_is_sound_and_complete(images, tmp_path):
    report = build_set(images, tmp_path)
    assert list(verify(tmp_path, "deep", 1)) == []
    shards = store.open_set(tmp_path)
    kinds = {p: item.counts for p, item in shards.manifest.partitions.items()}
    assert sum(sum(by.values()) for splits in kinds.values() for by in splits.values()) == 120
    assert sum(by["impostor"] for splits in kinds.values() for by in splits.values()) == 30
    assert {e.name for e in report.entries} == {e.name for e in shards.manifest.shards}
    assert (report.kept, report.bad, report.missing) == (0, [], 0)


def test_record_can_be_synthesized_again_from_its_address(images, tmp_path):
    """Seed, index and image ids of a record determine its bytes."""
    from pipeline.imaging.file import load
    from pipeline.pair import Address, make_pair, prepare_impression

    build_set(images, tmp_path, partitions=PARTITIONS[:1])
    by_id = {i.image_id: i for i in selected(images)[PARTITIONS[0]]}
    shards = store.open_set(tmp_path)
    for data in shards.read("train", range(0, shards.count("train"), 5)):
        pair = record.decode(data)
        a, b = (
            prepare_impression(by_id[i], load(by_id[i].path), None, SPEC)
            for i in (pair.image_id_a, pair.image_id_b)
        )
        assert (
            record.encode(make_pair(a, b, Address(pair.kind, pair.noise, pair.index), SPEC)) == data
        )


def test_different_impressions_of_synthetic_fingers(tmp_path):
    from pipeline.synthesis.write import write_set

    write_set(tmp_path / "data", 5, 2, 5, 1, "few")
    spec = dataclasses.replace(SPEC, different_impressions=1, elastic=3.0, translation=8.0)
    build_set(tmp_path / "data", tmp_path / "out", spec, ("synthetic/few",))
    counts = store.load_manifest(tmp_path / "out").partitions["synthetic/few"].counts
    assert sum(by.get("genuine-impressions", 0) for by in counts.values()) == 10
    assert list(verify(tmp_path / "out", "deep", 1)) == []


# --- the same bytes --------------------------------------------------------------------


@pytest.mark.parametrize("workers", [2, 5])
def test_same_bytes_with_more_workers(images, tmp_path, complete_set, workers):
    build_set(images, tmp_path, workers=workers)
    assert content(tmp_path) == complete_set


def test_same_bytes_from_pieces_in_any_order(images, tmp_path, complete_set):
    for number in (2, 0, 1):
        report = build_set(images, tmp_path, piece=(number, 3))
        assert (tmp_path / manifest.FILE).exists() == (number == 1)
    assert report.missing == 0
    assert content(tmp_path) == complete_set


def test_last_piece_reports_a_lost_shard_of_another(images, tmp_path, complete_set):
    first = build_set(images, tmp_path, piece=(0, 2))
    (tmp_path / first.entries[0].name).unlink()
    assert build_set(images, tmp_path, piece=(1, 2)).missing == 1
    assert not (tmp_path / manifest.FILE).exists()
    build_set(images, tmp_path, piece=(0, 2))
    assert content(tmp_path) == complete_set


def test_same_bytes_partition_by_partition(images, tmp_path, complete_set):
    for partition in reversed(PARTITIONS):
        build_set(images, tmp_path, partitions=(partition,))
    assert content(tmp_path) == complete_set


def test_same_bytes_without_processor_specific_code(images, tmp_path, complete_set):
    cv2.setUseOptimized(False)
    try:
        build_set(images, tmp_path)
    finally:
        cv2.setUseOptimized(True)
    assert content(tmp_path) == complete_set


def test_another_seed_gives_other_pairs(images, tmp_path, complete_set):
    build_set(images, tmp_path, dataclasses.replace(SPEC, seed=1))
    now = content(tmp_path)
    assert now.keys() == complete_set.keys()
    assert {n.split("/")[0] for n in now if now[n] == complete_set[n]} == {"sources"}


# --- resume and repair --------------------------------------------------------------------------


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
    assert report.kept == len(names) - 4
    assert before == {name: (tmp_path / name).stat().st_mtime_ns for name in untouched}


def test_finished_set_needs_no_state(images, tmp_path, complete_set):
    """Without .build, shards that the manifest lists are kept."""
    build_set(images, tmp_path)
    for path in sorted((tmp_path / state.FOLDER).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    report = build_set(images, tmp_path)
    assert report.kept == len(report.entries)
    assert content(tmp_path) == complete_set


def test_damaged_manifest_is_written_again(images, tmp_path, complete_set):
    build_set(images, tmp_path)
    (tmp_path / manifest.FILE).write_text("{")
    messages = []
    report = build_set(images, tmp_path, warn=messages.append)
    assert "manifest.json is not JSON" in messages[0]
    assert report.kept == len(report.entries)
    assert content(tmp_path) == complete_set


def test_killed_build_resumes_to_the_same_bytes(images, tmp_path, complete_set):
    rng = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            command(images, tmp_path, "--workers", "2"),
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(0.4, 1.6))
        process.kill()
        process.wait()
        if (tmp_path / manifest.FILE).exists():
            assert list(verify(tmp_path, "deep", 1)) == []
    build_set(images, tmp_path)
    assert content(tmp_path) == complete_set


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_a_build_cleanly(images, tmp_path, complete_set, number):
    """It ends with a message and without processes or partial files; then it can be resumed."""
    process = subprocess.Popen(
        command(images, tmp_path, "--workers", "2"),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started = time.monotonic()
    while not list(tmp_path.glob("train/*.arrayrecord")) and time.monotonic() - started < 30:
        time.sleep(0.01)
    if number == signal.SIGINT:  # which a terminal sends to all
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, stderr = process.communicate(timeout=10)
    if process.returncode:  # else it was done before the signal came
        assert process.returncode == 1
        assert "finished shards are kept: run the same command again" in stderr
        assert "Traceback" not in stderr
        assert not (tmp_path / manifest.FILE).exists()
    assert not list(tmp_path.rglob("*.tmp"))
    assert has_ended(process.pid)
    build_set(images, tmp_path)
    assert content(tmp_path) == complete_set


# --- one partition, one image, one setting ------------------------------------------------------


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


# --- bad input ----------------------------------------------------------------------------------


def spoil(data):
    """Replace four images by bad ones; return name → reason."""
    good = cv2.imread(str(data / "DB1_B/101_1.tif"), cv2.IMREAD_GRAYSCALE)
    (data / "DB1_B/101_1.tif").write_bytes(b"no image")
    cv2.imwrite(str(data / "DB1_B/104_2.tif"), good.astype(np.uint16) * 257)
    cv2.imwrite(str(data / "DB3_B/103_1.tif"), np.full((200, 200), 128, np.uint8))
    cv2.imwrite(str(data / "DB3_B/109_1.tif"), np.dstack([good] * 4))
    return {
        "DB1_B/101_1.tif": "does not decode",
        "DB1_B/104_2.tif": "16 bits",
        "DB3_B/103_1.tif": "no foreground",
        "DB3_B/109_1.tif": "4 channels",
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
    usage = builder.shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(builder.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Fault, match=r"needs 6 MB, the disk has 1 MB"):
        build_set(images, tmp_path)
    assert not list(tmp_path.rglob("*.arrayrecord"))


def test_second_build_into_the_same_folder_is_refused(images, tmp_path):
    with lock_output(tmp_path), pytest.raises(Fault, match="another build is writing here"):
        build_set(images, tmp_path)
    with lock_output(tmp_path, "0-of-2"):
        build_set(images, tmp_path, piece=(1, 2))
        for piece in ((0, 2), (0, 1)):
            with pytest.raises(Fault, match="another build"):
                build_set(images, tmp_path, piece=piece)


# --- the command --------------------------------------------------------------------------------


def invoke(*arguments):
    return CliRunner().invoke(main, ["build", *map(str, arguments)], catch_exceptions=False)


def test_dry_run_shows_the_plan_and_writes_nothing(images, tmp_path):
    out = tmp_path / "out"
    result = invoke(
        "--out", out, "--data", images, "--partition", ",".join(PARTITIONS), "--dry-run"
    )
    assert result.exit_code == 0 and not out.exists()
    *table, time = result.stdout.splitlines()
    head, last = table[0].split(), table[-1].split()
    columns = dict(zip(head[2:], last[1:], strict=True))
    bytes_ = columns.pop("MB")
    assert columns == {
        "shards": "6",
        "images": "30",
        "genuine": "90",
        "impostor": "30",
        "pairs": "120",
    }
    assert 120 * 2 * 128**2 < float(bytes_) * 1e6 < 2 * 120 * 50_000
    assert "about 0:00:01 h:min:s on" in time


def test_command_builds_and_ends_with_a_table(images, tmp_path, complete_set):
    arguments = command(images, tmp_path)[4:]
    first, again = invoke(*arguments), invoke(*arguments)
    assert first.exit_code == again.exit_code == 0
    assert content(tmp_path) == complete_set
    shards = sum(name.endswith("arrayrecord") for name in complete_set)
    assert f"{shards} shards built, 0 were there already" in first.output
    assert f"0 shards built, {shards} were there already" in again.output


PLANNED = ["build", "--out", "none", "--dry-run", "--partition", ",".join(PARTITIONS)]


@pytest.mark.parametrize("command", [PLANNED, ["audit"]])
def test_option_dataset_root_of_the_paper_is_accepted(images, command):
    """--dataset_root of the script of the paper is --data, with a deprecation warning."""
    now, before, both = (
        CliRunner().invoke(main, [*command, *map(str, roots)])
        for roots in (
            ("--data", images),
            ("--dataset_root", images),
            ("--data", images / "DB1_B", "--dataset_root", images / "DB3_B"),
        )
    )
    assert before.stdout == now.stdout != "" and before.exit_code == now.exit_code
    assert both.stdout.splitlines()[1:] == now.stdout.splitlines()[1:]  # the first may name roots
    assert "'dataset_root' is deprecated" in before.stderr and "--data" in before.stderr
    assert "deprecated" not in now.stderr
    assert "dataset" not in CliRunner().invoke(main, [command[0], "--help"]).output


def test_unparsed_names_are_reported_or_skipped(data, tmp_path):
    image = (data / "DB1_B/101_1.tif").read_bytes()
    (data / "DB1_B/finger.tif").write_bytes(image)
    arguments = command(data, tmp_path)[4:]
    refused = invoke(*arguments)
    assert refused.exit_code == 1 and "finger.tif" in refused.output
    result = invoke(*arguments, "--skip-bad")
    assert result.exit_code == 0 and "1 images left out" in result.output
    (line,) = (tmp_path / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["path"].endswith("DB1_B/finger.tif")
    (data / "DB1_B/finger.tif").unlink()
    assert invoke(*arguments).exit_code == 0
    assert not (tmp_path / "quarantine.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--partition", "fvc2002/db1_c"], 2, "did you mean fvc2002/db1_"),
        (["--partition", "fvc2002/db4_a"], 1, "missing partitions: fvc2002/db4_a"),
        (["--partition", "fvc2002/db1_b", "--shards", "4/4"], 2, "expected i/N"),
        (["--partition", "fvc2002/db1_b", "--set", "pipeline.grid=33"], 2, "grid: 33"),
        (["--set", "pipeline.partitions=()"], 2, "names no partitions"),
    ],
)
def test_misuse_is_reported(images, tmp_path, arguments, status, message):
    result = invoke("--out", tmp_path, "--data", images, *arguments)
    assert result.exit_code == status, result.output
    assert message in result.output
    assert not list(tmp_path.iterdir())


def test_show_uses_the_resolution_in_a_png_header(images, tmp_path):
    image = cv2.imread(str(images / "DB1_B" / "101_1.tif"), cv2.IMREAD_UNCHANGED)
    path, sheet = tmp_path / "101_1.png", tmp_path / "sheet.png"

    def run_show(ppi, *options):
        path.write_bytes(encode(image, ".png", ppi))
        result = CliRunner().invoke(main, ["show", str(path), "--out", str(sheet), *options])
        assert result.exit_code == 0, result.output
        return sheet.read_bytes()

    assert run_show(569) == run_show(None, "--ppi=569") == run_show(500, "--ppi=569")
    assert run_show(None) == run_show(72) == run_show(None, "--ppi=500") != run_show(569)
    nothing = CliRunner().invoke(main, ["show", str(path), "--out", str(sheet), "--ppi=0"])
    assert nothing.exit_code == 1 and "has a resolution of 0 ppi" in nothing.output


def test_show_plots_every_stage(images, tmp_path):
    sheet = tmp_path / "sheets" / "101.png"
    image = images / "DB1_B" / "101_1.tif"
    result = CliRunner().invoke(main, ["show", str(image), "--out", str(sheet)])
    assert result.exit_code == 0, result.output
    assert cv2.imread(str(sheet)).shape[0] > 4 * 262
    image = tmp_path / "bad.tif"
    image.write_bytes(b"no image")
    result = CliRunner().invoke(main, ["show", str(image), "--out", str(sheet)])
    assert result.exit_code == 1 and "bad.tif: does not decode" in result.output
