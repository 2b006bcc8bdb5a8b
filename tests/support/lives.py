"""Kill a real training again and again: python tests/support/lives.py SHARDS FOLDER KILLS SEED

Trains FOLDER/straight without interruption and FOLDER/killed with KILLS kills, each at a random
moment after a save, most of them while it saves. One process imports everything, then forks for
each life of the run, which starts jax for itself. Prints a line per kill: name of the newest
checkpoint, number of folders that were being written, the checkpoint's damage.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import jax
import numpy as np
from safetensors.numpy import load_file
from training import MODEL, TRAIN

from train import checkpoint, curves, export, loop

CONFIG = dataclasses.replace(TRAIN, epochs=20, checkpoint_every=7)
CLOCKED = ("pairs_per_s", "wait", "utilisation")  # depend on the time that a step took


def run_lives(shards, folder, kills, seed):
    """Run this script in a process of its own; return its lines."""
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(
        [sys.executable, __file__, *map(str, (shards, folder, kills, seed))],
        cwd=ROOT,
        env={**os.environ, **cache},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def lines(run):
    """Return what a run logged, but for what depends on the clock."""
    return [{k: v for k, v in line.items() if k not in CLOCKED} for line in curves.read_steps(run)]


def assert_same_run(one, two):
    """Compare the logs, the parameters and the validation metrics of two runs."""
    assert lines(one) == lines(two)
    arrays = [load_file(run / export.FILE) for run in (one, two)]
    assert arrays[0].keys() == arrays[1].keys()
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name])
    epochs = [json.loads((run / "logs/metrics.json").read_text()) for run in (one, two)]
    assert [e["val"] for e in epochs[0]] == [e["val"] for e in epochs[1]]


def live(shards, run, latest_every):
    """Fork a process that trains; return its number."""
    process = os.fork()
    if not process:
        every = dataclasses.replace(CONFIG, latest_every=latest_every)
        done = loop.run(loop.Settings(shards, run, MODEL, every), jax.devices()[:1], str)
        os._exit(0 if done else 3)
    return process


def newest(run):
    """Return when the newest checkpoint of a run was finished; None while there is none."""
    try:
        path = checkpoint.find(run, None)
        return path and (path / checkpoint.DIGESTS).stat().st_mtime_ns
    except FileNotFoundError:  # its place is just being taken by the next one
        return None


def save_then_die(shards, run, moment):
    """Kill a training `moment` s after its next save; print what is left."""
    before, process = newest(run), live(shards, run, 1)
    while newest(run) in (None, before):
        assert os.waitpid(process, os.WNOHANG) == (0, 0), "ended before it was killed"
        time.sleep(0.002)
    time.sleep(moment)
    os.kill(process, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    path = checkpoint.find(run, "latest")
    writing = list(run.glob("*" + checkpoint.PARTIAL + "*"))
    sys.stdout.write(f"{path.name} {len(writing)} {checkpoint.find_damage(path)}\n")


def to_the_end(shards, run):
    """Train until the last step."""
    assert os.waitpid(live(shards, run, 1000), 0)[1] == 0


def main(shards, folder, kills, seed):
    """Train with and without kills; an uninterrupted run that exists is kept."""
    warnings.simplefilter("ignore")
    to_the_end(shards, folder / "straight")
    for moment in np.random.default_rng(seed).uniform(0, 0.2, kills):
        save_then_die(shards, folder / "killed", moment)
    to_the_end(shards, folder / "killed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
