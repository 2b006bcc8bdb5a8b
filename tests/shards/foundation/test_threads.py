"""A process that may not start threads says so, instead of waiting for ever in a library."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pairs import make_pairs

from shards import manifest, shard_file
from shards.foundation.errors import Fault
from shards.foundation.threads import require_threads
from shards.record import encode

ROOT = Path(__file__).parents[3]
STARVED = """
import resource, sys
from shards import shard_file
from shards.foundation.errors import Fault
pages = int(open("/proc/self/statm").read().split()[0])
allowed = pages * resource.getpagesize() + 200_000_000
resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
try:
    shard_file.open_reader(sys.argv[1])
except Fault as fault:
    print(fault)
"""


def test_a_starved_reader_of_shards_is_a_fault(tmp_path):
    """ArrayRecord itself waits for ever here, or ends the process by SIGSEGV."""
    path = tmp_path / manifest.shard_name("synthetic/test", "train", 0, 1)
    shard_file.write_shard(path, map(encode, make_pairs(1, 1)))
    done = subprocess.run(
        [sys.executable, "-c", STARVED, path], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("cannot be worked on: a process here cannot start 64 threads")
    assert done.returncode == 0 and done.stderr == ""


def test_threads_that_cannot_start_are_a_fault_and_end(monkeypatch):
    start, before = threading.Thread.start, threading.active_count()

    def start_three(thread):
        if threading.active_count() > before + 2:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_three)
    with pytest.raises(Fault, match="cannot start 5 threads"):
        require_threads(5)
    assert threading.active_count() == before
    require_threads(3)
