"""The session on a GPU machine: what it refuses before it computes anything.

All of its steps on a CPU: DRY=1 OUT=folder tests/bench/gpu_session.sh
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "bench" / "gpu_session.sh"
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


def session(folder, **variables):
    """Run the script in `folder`; return the finished process, with stderr in stdout."""
    environment = {**os.environ, "PYTHON": sys.executable, "WORK": str(folder / "work")}
    environment |= {"JAX_PLATFORMS": "cpu"} | variables
    return subprocess.run(
        ["bash", str(SCRIPT)],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_usage(tmp_path):
    done = session(tmp_path, OUT="")
    assert done.returncode == 2 and done.stdout.startswith("usage: OUT=folder")
    assert not list(tmp_path.iterdir())


def test_a_machine_without_gpu_is_refused(tmp_path):
    done = session(tmp_path, OUT="out")
    assert done.returncode == 1
    assert "error: JAX finds no GPU" in done.stdout and "DRY=1" in done.stdout
    assert not (tmp_path / "work/shards").exists()


def test_missing_packages_are_named(tmp_path):
    bare = tmp_path / "bare_python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    done = session(tmp_path, OUT="out", PYTHON=str(bare), PYTHONPATH="")
    assert done.returncode == 1
    assert "lacks jax flax optax orbax grain" in done.stdout and "WHEELS" in done.stdout


def test_missing_wheels(tmp_path):
    done = session(tmp_path, OUT="out", WHEELS="nowhere")
    assert done.returncode == 1 and "WHEELS=nowhere: no such folder" in done.stdout
