"""Compiled programs are reused by later processes; damaged ones are compiled again."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CODE = """
import jax
from model.network import compilation_cache
hits = []
jax.monitoring.register_event_listener(
    lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None
)
compilation_cache.enable()
print(jax.jit(lambda x: (x * 2).sum())(jax.numpy.arange(10.0)), len(hits) > 0)
"""


def run_process(home):
    """Output of a new process with the cache folder `home`."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(home)
    process = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert not process.stderr
    return process.stdout.strip()


def cut_to_nothing(data):
    return b""


def cut_at_the_end(data):
    return data[:-9]


def change_a_byte(data):
    return data[:9] + b"?" + data[10:]


def test_second_process_reuses_the_programs_of_the_first(tmp_path):
    assert run_process(tmp_path) == "90.0 False"
    assert run_process(tmp_path) == "90.0 True"
    programs = sorted((tmp_path / "dense-registration").rglob("*-cache"))
    before = [path.read_bytes() for path in programs]
    damages = itertools.cycle([cut_to_nothing, cut_at_the_end, change_a_byte])
    for path, damage in zip(programs, damages, strict=False):
        path.write_bytes(damage(path.read_bytes()))
    assert run_process(tmp_path).startswith("90.0")
    assert [len(path.read_bytes()) for path in programs] == [
        len(b) for b in before
    ]  # written again
    assert run_process(tmp_path) == "90.0 True"


def test_without_a_cache_folder_programs_are_compiled(tmp_path):
    (tmp_path / "file").touch()
    assert run_process(tmp_path / "file") == "90.0 False"
