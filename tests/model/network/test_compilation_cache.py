"""Compiled programs are kept from start to start; what is wrong with them never shows."""

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


def start(home):
    """What a new process says, with the caches of `home`."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(home)
    ran = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    return ran.stdout.strip()


def test_second_start_finds_the_programs_of_the_first(tmp_path):
    assert start(tmp_path) == "90.0 False"
    assert start(tmp_path) == "90.0 True"
    kept = sorted((tmp_path / "dense-registration").rglob("*-cache"))
    before = [path.read_bytes() for path in kept]
    for path, harm in zip(kept, (0, 1, 2) * len(kept), strict=False):
        whole = path.read_bytes()
        path.write_bytes([b"", whole[:-9], whole[:9] + b"?" + whole[10:]][harm])
    assert start(tmp_path).startswith("90.0")
    assert [len(path.read_bytes()) for path in kept] == [len(b) for b in before]  # written anew
    assert start(tmp_path) == "90.0 True"


def test_where_nothing_can_be_kept_it_works_all_the_same(tmp_path):
    (tmp_path / "file").touch()
    assert start(tmp_path / "file") == "90.0 False"
