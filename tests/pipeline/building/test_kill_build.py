"""Build under faults of the system: killed, killed workers, full disk, no permission to write."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import kills
import pytest
from prints import finger

from pipeline.building import state
from shards import manifest

ROOT = Path(__file__).parents[3]
PARTITION = "fvc2002/db1_b"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Ten fingers, two impressions each."""
    root = tmp_path_factory.mktemp("data")
    (root / "DB1_B").mkdir()
    for number in range(101, 111):
        for k in (1, 2):
            cv2.imwrite(str(root / f"DB1_B/{number}_{k}.tif"), finger([number, k], 190, 180))
    return root


@pytest.fixture(scope="module")
def complete_set(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("complete_set")
    assert finish(start(images, out)) == (0, None)
    return content(out)


def start(images, out, before=(), **options):
    settings = ("--partition", PARTITION, "--set", "pipeline.pairs_per_shard=8", "--workers", "2")
    build = [sys.executable, "-m", "pipeline", "build", "--out", out, "--data", images]
    return subprocess.Popen(
        [*before, *build, *settings],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process):
    """Exit status and error message; None where there is none."""
    _, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    return process.returncode, stderr.partition("error: ")[2] or None


def content(out):
    """Every file that is not hidden, and its bytes."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and state.FOLDER not in path.parts and not path.name.startswith(".")
    }


def workers(process):
    """The process numbers of a build's workers."""
    numbers = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"spawn_main" in (path / "cmdline").read_bytes():
                numbers.append(int(path.name))
        except (OSError, ValueError):
            continue  # it has just ended
    return numbers


def complete(images, out, complete_set):
    """Finished files are right, and the same command completes the set to the same bytes."""
    files = content(out)
    assert files.items() <= complete_set.items()
    assert manifest.FILE not in files or files == complete_set
    assert finish(start(images, out)) == (0, None)
    assert content(out) == complete_set
    assert not list(out.rglob("*.tmp"))


def has_begun(out):
    """Whether a worker writes its first shard, or has written it."""
    return any(out.glob("*/.*.tmp")) or any(out.glob("*/*.arrayrecord"))


def killed_a_worker(process):
    """Kill a worker of a build; whether one was left."""
    for number in workers(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
            return True
    return False


def test_worker_killed_by_the_system(images, tmp_path, complete_set):
    """On a busy machine a build may have ended before its worker is killed: then another one."""
    for out in (tmp_path / str(attempt) for attempt in range(20)):
        process = start(images, out)
        while not has_begun(out) and process.poll() is None:
            time.sleep(0.002)
        killed = killed_a_worker(process)
        status, message = finish(process)
        if killed and status:
            break
    assert status == 1 and "ended by SIGKILL" in message and "run the same command again" in message
    complete(images, out, complete_set)


def test_killed_with_all_its_workers(images, tmp_path, complete_set):
    """As when the machine goes down: no process can clean up."""
    process = start(images, tmp_path, start_new_session=True)
    while not list(tmp_path.glob("*/.*.tmp")) and process.poll() is None:
        time.sleep(0.001)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    complete(images, tmp_path, complete_set)


def test_disk_full_in_the_middle_of_a_shard(images, tmp_path, complete_set):
    """A limit on the size of files has the effect of a full disk."""
    largest = 100_000
    process = start(images, tmp_path)
    resource.prlimit(
        process.pid, resource.RLIMIT_FSIZE, (largest, largest)
    )  # long before it writes
    status, message = finish(process)
    assert status == 1 and "arrayrecord: cannot be written" in message
    assert content(tmp_path) == {}
    complete(images, tmp_path, complete_set)


def test_twenty_kills_of_a_build(tmp_path):
    """Finished shards are kept after each kill, and the set has the bytes of one build."""
    (tmp_path / "data/DB1_A").mkdir(parents=True)
    for number in range(1, 101):
        image = finger([number, 1], 190, 180)
        cv2.imwrite(str(tmp_path / f"data/DB1_A/{number}_1.tif"), image)
    data, out = tmp_path / "data", tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, kills.__file__, data, out, "20"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    counts = [int(number) for number in done.stdout.split()]
    assert len(counts) == 20 and len(set(counts)) > 5
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*/*.arrayrecord")}
    report = kills.build_set(data, out, 1)
    assert report.finished_before == counts[-1] == len(finished)
    assert finished == {path: path.stat().st_mtime_ns for path in finished}
    kills.build_set(data, tmp_path / "one go", 1)
    assert content(out) == content(tmp_path / "one go")
    assert not list(out.rglob("*.tmp"))


# Without this capability, root too obeys file modes (CAP_DAC_OVERRIDE, PR_CAPBSET_DROP).
OBEY_MODES = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_output_without_permission_to_write(images, tmp_path, complete_set):
    (tmp_path / "out").mkdir(mode=0o500)
    obeying = (sys.executable, "-c", OBEY_MODES)
    status, message = finish(start(images, tmp_path / "out", before=obeying))
    assert status == 1 and f"{tmp_path / 'out'}: cannot be written: Permission denied" in message
    (tmp_path / "out").chmod(0o700)
    complete(images, tmp_path / "out", complete_set)
