"""Tasks in several processes: order of results, early end, Ctrl-C and killed workers."""

import contextlib
import ctypes
import errno
import functools
import multiprocessing
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


def crash_in_a_library(task, stopped):
    if task == 1:
        ctypes.string_at(0)
    return task


def lack_memory(task, stopped):
    if task == 1:
        raise MemoryError
    return task


def wait_or_stop(task, stopped):
    path, number = task
    for _ in range(2000 * number):
        if stopped():
            return
        time.sleep(0.01)
    path.write_text("to the end")


def test_results_are_in_the_order_of_the_tasks():
    assert list(pool.run(slow_first, range(5), 2)) == list(range(5))


def test_workers_stop_when_the_generator_is_closed(tmp_path):
    path = tmp_path / "done"
    with contextlib.closing(
        pool.run(wait_or_stop, [(path, 0), (path, 1), (path, 1)], 2)
    ) as results:
        next(results)
        path.unlink()
    assert not path.exists()


def test_a_killed_worker_is_a_fault():
    with pytest.raises(Fault, match="ended by SIGKILL, usually because memory ran out"):
        list(pool.run(kill_worker, [0, 1, 2], 2))


def test_a_worker_that_dies_in_a_library_is_a_fault_with_its_signal():
    with pytest.raises(Fault, match="ended by SIGSEGV, usually by a fault in a library"):
        list(pool.run(crash_in_a_library, [0, 1, 2], 2))


def test_a_worker_without_memory_is_a_fault():
    with pytest.raises(Fault, match="too little memory; finished work is kept"):
        list(pool.run(lack_memory, [0, 1, 2], 2))


def test_a_worker_that_cannot_load_a_library_says_why(tmp_path, monkeypatch, capfd):
    """The worker finds a module `cv2` that fails as OpenCV does where memory is short."""
    message = "failed to map segment from shared object"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({message!r})")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(Fault, match="could not start or was ended, usually because memory ran out"):
        list(pool.run(slow_first, [0, 1, 2], 2))
    errors = capfd.readouterr().err
    assert f"error: a worker process cannot start: {message}\n" in errors
    assert "Traceback" not in errors


def test_no_process_to_start_is_a_fault(monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "_Popen", refuse)
    with pytest.raises(Fault, match=r"no worker process can be started: .*temporarily unavailable"):
        list(pool.run(slow_first, [0, 1, 2], 2))


def test_a_system_without_semaphores_is_a_fault(monkeypatch):
    """As where /dev/shm is missing or read-only."""
    context = multiprocessing.get_context("spawn")

    def no_event():
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(context, "Event", no_event)
    with pytest.raises(Fault, match="Read-only file system; try --workers 1"):
        list(pool.run(slow_first, [0, 1, 2], 2))


def test_a_signal_is_delayed_whichever_thread_receives_it():
    """Threads of a library do not block signals; the main thread handles those they receive."""
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    done = False
    delivered, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    previous = signal.set_wakeup_fd(wakeup)
    try:
        with pytest.raises(KeyboardInterrupt), pool.delay_signals():
            os.kill(os.getpid(), signal.SIGINT)
            assert select.select([delivered], [], [], 60)[0]  # some thread has received it
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
    """Start a command with two workers, as the leader of a process group."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, command), "--workers", "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def count_workers(process):
    """Count the running workers of a command."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    lines = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    return sum(b"spawn_main" in line for line in lines)


def wait(process, ready):
    while process.poll() is None and not ready():
        time.sleep(0.002)


def has_ended(process):
    """Return whether no process of its group runs, at most five seconds later."""
    for _ in range(500):
        if not any(
            map(functools.partial(is_running, process.pid), Path("/proc").glob("[0-9]*/stat"))
        ):
            return True
        time.sleep(0.01)
    return False


def is_running(group, stat):
    """Return whether the process of /proc/PID/stat is of a group, and not a zombie."""
    try:
        state, _, group_of_process = stat.read_text().rpartition(")")[2].split()[:3]
    except OSError:
        return False  # it has just ended
    return int(group_of_process) == group and state != "Z"


def interrupt(process, ready=lambda: True):
    """Send Ctrl-C when its first worker runs and ready(); return its stderr."""
    wait(process, lambda: count_workers(process) and ready())
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert "Traceback" not in stderr and "Error" not in stderr, stderr
    assert process.returncode == 1, stderr
    assert has_ended(process)
    return stderr


def synth(out):
    command = ("pipeline", "synth", "--out", out, "--fingers", FINGERS)
    return start(*command, "--impressions", 1, "--seed", 7)


def contents(out):
    return {p.relative_to(out): p.read_bytes() for p in out.rglob("[!.]*") if p.is_file()}


def test_an_interrupted_or_killed_synth_can_be_continued(tmp_path):
    out, uninterrupted = tmp_path / "out", tmp_path / "whole"
    for moment in ({}, {"ready": lambda: list(out.rglob("*.png"))}):
        stderr = interrupt(synth(out), **moment)
        assert "finished images are kept: run the same command again" in stderr
        assert not list(out.rglob(".*"))
    before, process = contents(out), synth(out)
    wait(process, lambda: len(contents(out)) > len(before))
    process.kill()
    process.communicate()
    assert has_ended(process)
    after_kill = contents(out)
    for folder in (out, uninterrupted):
        write_set(folder, fingers=FINGERS, impressions=1, seed=7, workers=1)
    assert (
        before.items()
        <= after_kill.items()
        <= contents(uninterrupted).items()
        == contents(out).items()
    )


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory):
    """Write 40 shards, hard links of one, in which verify finds some thousand faults."""
    out = tmp_path_factory.mktemp("set")
    first, *others = (manifest.shard_name("synthetic/test", "train", k, 40) for k in range(40))
    entry = shard_file.write_shard(out / first, map(encode, make_pairs(24, 1)))
    for name in others:
        os.link(out / first, out / name)
    store.write_sources(out, {"synthetic/test": {}})
    entries = [replace(entry, name=name) for name in (first, *others)]
    store.write_manifest(out, manifest.assemble({}, {"synthetic/test": {}}, entries))
    return out


def prints(process):
    """Whether it has printed something that was not read yet."""
    return bool(select.select([process.stdout], [], [], 0)[0])


@pytest.mark.parametrize("ready", [lambda process: True, prints], ids=["starts", "finds faults"])
def test_verify_can_be_interrupted(shard_set, ready):
    """The faults of all shards fill the pipe, so that it does not end before."""
    process = start("shards", "verify", shard_set, "--deep")
    assert "Aborted!" in interrupt(process, lambda: ready(process))


def test_workers_end_when_their_command_is_killed(shard_set):
    process = start("shards", "verify", shard_set, "--deep")
    wait(process, lambda: count_workers(process) == 2)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and has_ended(process)
