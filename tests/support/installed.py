"""The installed package `densereg` without pip: its files in a folder, as the wheel holds them."""

import os
import subprocess
import sys
from pathlib import Path

from train.distribution import package_tree

ROOT = Path(__file__).parents[2]


def install(folder):
    """Write the package's files below `folder`, and a command densereg to folder/bin; return it."""
    for name, data in package_tree.files(ROOT).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    command = folder / "bin" / "densereg"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m densereg "$@"\n')
    command.chmod(0o755)
    return folder


def environment(site):
    """Return the environment of processes that find the package below `site` alone."""
    path = os.pathsep.join([str(site / "bin"), os.environ["PATH"]])
    return {**os.environ, "PYTHONPATH": str(site), "PATH": path}


def run(site, *arguments, cwd):
    """Run Python with the package below `site`; return the finished process."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment(site), capture_output=True, text=True)
