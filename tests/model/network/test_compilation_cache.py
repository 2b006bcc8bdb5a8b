"""Compiled programs are reused by later processes; damaged ones are compiled again."""

import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

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


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A cache folder that a process has filled."""
    home = tmp_path_factory.mktemp("compiled")
    assert run_process(home) == "90.0 False"
    return home


def test_second_process_reuses_the_programs_of_the_first(compiled):
    assert run_process(compiled) == "90.0 True"


@pytest.mark.parametrize("damage", [cut_to_nothing, cut_at_the_end, change_a_byte])
def test_damaged_programs_are_compiled_again(compiled, damage):
    """JAX would neither read nor replace them. Where a program lies is a part of its name."""
    programs = sorted((compiled / "dense-registration").rglob("*-cache"))
    damaged = [damage(path.read_bytes()) for path in programs]
    for path, data in zip(programs, damaged, strict=True):
        path.write_bytes(data)
    assert programs and run_process(compiled) == "90.0 False"
    for path, data in zip(programs, damaged, strict=True):
        assert path.read_bytes() != data and zlib.decompress(path.read_bytes())


def test_without_a_cache_folder_programs_are_compiled(tmp_path):
    (tmp_path / "file").touch()
    assert run_process(tmp_path / "file") == "90.0 False"
