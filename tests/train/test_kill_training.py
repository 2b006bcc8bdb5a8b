"""A run killed at random moments, most of them while it saves: latest is always whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from training import make_set

from train import curves, export

ROOT = Path(__file__).parents[2]
KILLS, STEPS = 10, 120

# One process imports everything, then forks for each life of the run, which starts jax for itself.
LIVES = """
import dataclasses, os, signal, sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
sys.path[:0] = ["tests/support"]
import jax
import numpy as np
from train import checkpoint, loop
from training import MODEL, TRAIN

shards, folder, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
config = dataclasses.replace(TRAIN, epochs=20, checkpoint_every=7)

def live(run, latest_every):
    process = os.fork()
    if not process:
        every = dataclasses.replace(config, latest_every=latest_every)
        done = loop.run(loop.Settings(shards, run, MODEL, every), jax.devices()[:1], str)
        os._exit(0 if done else 3)
    return process

def newest(run):
    found = checkpoint.find(run, None)
    return found and (found / checkpoint.DIGESTS).stat().st_mtime_ns

def save_then_die(run, moment):
    before, process = newest(run), live(run, 1)
    while newest(run) == before:
        assert os.waitpid(process, os.WNOHANG) == (0, 0), "ended before it was killed"
        time.sleep(0.002)
    time.sleep(moment)
    os.kill(process, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    found = checkpoint.find(run, "latest")
    writing = list(run.glob("*" + checkpoint.PARTIAL + "*"))
    print(found.name, len(writing), checkpoint.find_damage(found))

def to_the_end(run):
    assert os.waitpid(live(run, 1000), 0)[1] == 0

to_the_end(folder / "straight")
for moment in np.random.default_rng(0).uniform(0, 0.2, kills):
    save_then_die(folder / "killed", moment)
to_the_end(folder / "killed")
"""


def lines(run):
    """What a run logged, but for what depends on the clock."""
    return [{k: v for k, v in line.items() if k not in CLOCKED} for line in curves.read_steps(run)]


CLOCKED = ("pairs_per_s", "wait", "utilisation")


def test_ten_kills_leave_a_whole_latest_and_change_nothing(tmp_path):
    shards = make_set(tmp_path / "set").directory
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", LIVES, shards, tmp_path, str(KILLS)],
        cwd=ROOT,
        env={**os.environ, **cache},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    after = done.stdout.splitlines()
    assert len(after) == KILLS and all(line.endswith(" []") for line in after)
    assert any(" 0 [" not in line for line in after)  # some died while they wrote
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert [line["step"] for line in lines(killed)] == list(range(1, STEPS + 1))
    assert lines(killed) == lines(straight)
    arrays = [load_file(run / export.FILE) for run in (straight, killed)]
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name])
    epochs = [json.loads((run / "logs/metrics.json").read_text()) for run in (straight, killed)]
    assert [e["val"] for e in epochs[0]] == [e["val"] for e in epochs[1]]
