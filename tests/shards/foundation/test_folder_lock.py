"""The lock of a folder: one process at a time, and none after its end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shards.foundation import folder_lock
from shards.foundation.errors import Misuse
from shards.foundation.folder_lock import sole_writer

ROOT = Path(__file__).parents[3]


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path):
    folder = tmp_path / "a" / "b"
    with sole_writer(folder), pytest.raises(Misuse, match="another process writes into it"):
        sole_writer(folder).__enter__()
    with sole_writer(folder):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import pathlib, signal, sys\n"
        "from shards.foundation.folder_lock import sole_writer\n"
        "with sole_writer(pathlib.Path(sys.argv[1])):\n"
        "    print('locked', flush=True)\n"
        "    signal.pause()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"locked\n"
    with pytest.raises(Misuse, match="wait for its end, or name another --run"):
        sole_writer(tmp_path, "--run").__enter__()
    process.kill()
    process.wait()
    process.stdout.close()
    with sole_writer(tmp_path):
        pass


def test_a_file_or_a_pipe_in_the_place_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match="is a file"):
        sole_writer(tmp_path / "file").__enter__()
    os.mkfifo(tmp_path / folder_lock.FILE)
    with pytest.raises(Misuse, match="no files can be made here"):
        sole_writer(tmp_path).__enter__()
