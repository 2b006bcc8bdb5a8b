"""Work shared out among processes: its order, its end, and what Ctrl-C and kills do to it."""

import contextlib
import functools
import os
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pairs import make_pairs

from pipeline.synthesis.write import write_set
from shards import manifest, shard_file, store
from shards.foundation import pool
from shards.foundation.errors import Fault
from shards.record import encode

ROOT = Path(__file__).parents[3]
FINGERS = 10  # enough for a command to be interrupted before its end on a busy machine


def slow_first(task, stopped):
    time.sleep(0.3 * (task == 0))
    return task


def kill_worker(task, stopped):
    if task == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def linger(task, stopped):
    path, number = task
    for _ in range(2000 * number):
        if stopped():
            return
        time.sleep(0.01)
    path.write_text("to the end")


def test_results_come_in_the_order_of_the_tasks():
    assert list(pool.run(slow_first, range(5), 2)) == list(range(5))


def test_workers_give_up_when_their_caller_does(tmp_path):
    path = tmp_path / "done"
    with contextlib.closing(pool.run(linger, [(path, 0), (path, 1), (path, 1)], 2)) as results:
        next(results)
        path.unlink()
    assert not path.exists()


def test_a_worker_killed_by_the_system_is_told():
    with pytest.raises(Fault, match="killed by the system"):
        list(pool.run(kill_worker, [0, 1, 2], 2))


def test_a_held_signal_waits_whichever_thread_the_system_gives_it():
    """The threads of a library block none, and what they catch is handled in the main thread."""
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    done = False
    delivered, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    previous = signal.set_wakeup_fd(wakeup)
    try:
        with pytest.raises(KeyboardInterrupt), pool._held():
            os.kill(os.getpid(), signal.SIGINT)
            assert select.select([delivered], [], [], 60)[0]  # some thread has caught it
            done = True
    finally:
        signal.set_wakeup_fd(previous)
        os.close(delivered)
        os.close(wakeup)
        ended.set()
        other.join()
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


# --- real commands ------------------------------------------------------------------------------


def start(*command):
    """One of the project's doors with two workers, leading a group as a terminal's job does."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, command), "--workers", "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def workers(process):
    """How many workers it has started, if they have not ended."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    lines = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    return sum(b"spawn_main" in line for line in lines)


def wait(process, ready):
    while process.poll() is None and not ready():
        time.sleep(0.002)


def gone(process):
    """Whether nothing of its group runs, shortly after its end."""
    for _ in range(500):
        if not any(map(functools.partial(runs, process.pid), Path("/proc").glob("[0-9]*/stat"))):
            return True
        time.sleep(0.01)
    return False


def runs(group, stat):
    """Whether this process is of the group, and no zombie."""
    try:
        state, _, found = stat.read_text().rpartition(")")[2].split()[:3]
    except OSError:
        return False  # it has just ended
    return int(found) == group and state != "Z"


def interrupt(process, ready=lambda: True, after=0.0):
    """Ctrl-C so many seconds after its first worker was seen, and it is ready; what was told."""
    wait(process, lambda: workers(process) and ready())
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert "Traceback" not in told and "Error" not in told, told
    assert process.returncode == 1, told
    assert gone(process)
    return told


def synth(out):
    command = ("pipeline", "synth", "--out", out, "--fingers", FINGERS)
    return start(*command, "--impressions", 1, "--seed", 7)


def contents(out):
    return {p.relative_to(out): p.read_bytes() for p in out.rglob("[!.]*") if p.is_file()}


def test_synth_is_interrupted_and_killed_and_goes_on(tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    for moment in ({}, {"ready": lambda: list(out.rglob("*.png"))}):
        told = interrupt(synth(out), **moment)
        assert "finished images are kept, the same command goes on" in told
        assert not list(out.rglob(".*"))
    before, process = contents(out), synth(out)
    wait(process, lambda: len(contents(out)) > len(before))
    process.kill()
    process.communicate()
    assert gone(process)
    kept = contents(out)
    for folder in (out, whole):
        write_set(folder, fingers=FINGERS, impressions=1, seed=7, workers=1)
    assert before.items() <= kept.items() <= contents(whole).items() == contents(out).items()


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory):
    """Shards that take two processes some seconds, links of one."""
    out = tmp_path_factory.mktemp("set")
    first, *others = (manifest.shard_name("synthetic/test", "train", k, 40) for k in range(40))
    entry = shard_file.write_shard(out / first, map(encode, make_pairs(24, 1)))
    for name in others:
        os.link(out / first, out / name)
    store.write_sources(out, {"synthetic/test": {}})
    entries = [replace(entry, name=name) for name in (first, *others)]
    store.write_manifest(out, manifest.assemble({}, {"synthetic/test": {}}, entries))
    return out


@pytest.mark.parametrize("after", [0.0, 1.0])
def test_verify_is_interrupted(shard_set, after):
    interrupt(start("shards", "verify", shard_set, "--deep"), after=after)


def test_no_worker_outlives_a_verify_that_is_killed(shard_set):
    process = start("shards", "verify", shard_set, "--deep")
    wait(process, lambda: workers(process) == 2)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and gone(process)
