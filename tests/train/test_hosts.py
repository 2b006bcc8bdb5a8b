"""Two processes train like one: one of them writes, both stop at the same step."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from flax import nnx
from training import MODEL, TRAIN, assert_same_metrics, distance, make_set

from model.network import weights
from model.network.net import create
from shards.foundation.errors import Misuse
from train import checkpoint, curves, export, hosts, loop

ROOT = Path(__file__).parents[2]
LEARNING = ("loss", "match", "unmatchable", "refine", "grad_norm", "learning_rate")

HOST = """
import os, shutil, signal, sys
from pathlib import Path
sys.path[:0] = ["tests/support"]
import jax
jax.config.update("jax_num_cpu_devices", 1)
from train import hosts, loader, loop, state
from training import MODEL, TRAIN

coordinator, process, shards, run, stopped, ask = sys.argv[1:]
hosts.join(coordinator, process)
batches, original = 0, loader.TrainingBatches.__next__
def counted(self):
    global batches
    batches += 1
    if batches == int(ask):
        os.kill(os.getpid(), signal.SIGTERM)
    return original(self)
loader.TrainingBatches.__next__ = counted
settings = loop.Settings(Path(shards), Path(run), MODEL, TRAIN)
say = lambda text: print(text, flush=True)
print(loop.run(settings, state.find_devices(), say))
if hosts.is_first():
    shutil.copytree(run, stopped)
hosts.wait_for_all("copied")
print(loop.run(settings, state.find_devices(), say))
"""


def run_two_processes(*arguments, signal_steps):
    """Lines printed by each of two processes; each gets SIGTERM at its batch of `signal_steps`."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", HOST, coordinator, f"{k}/2", *arguments, str(signal_steps[k])],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started:  # one that waits for the other for ever
            process.kill()
            process.communicate()
    assert [process.returncode for process in started] == [0, 0], outputs
    return [
        [line for line in messages.splitlines() if "[Gloo]" not in line] for messages, _ in outputs
    ]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("set")).directory


@pytest.fixture(scope="module")
def single(shards, tmp_path_factory):
    """The run of one process on one device: two epochs of six steps."""
    run = tmp_path_factory.mktemp("one") / "run"
    assert loop.run(loop.Settings(shards, run, MODEL, TRAIN), jax.devices()[:1], str)
    return run


@pytest.fixture(scope="module")
def stopped_runs(shards, tmp_path_factory):
    """The run of two processes, a copy of it when it was stopped, the lines that each printed.

    In the second epoch the second process alone is asked to stop; then both go on.
    """
    folder = tmp_path_factory.mktemp("two")
    run, stopped = folder / "run", folder / "stopped"
    return run, stopped, run_two_processes(shards, run, stopped, signal_steps=(0, 8))


def assert_same_run(one, two):
    """Both runs have the same logs and parameters, up to rounding."""
    for a, b in zip(curves.read_steps(one), curves.read_steps(two), strict=True):
        assert (a["step"], a["epoch"]) == (b["step"], b["epoch"])
        assert_same_metrics(*({name: step[name] for name in LEARNING} for step in (a, b)))
    epochs = [json.loads((run / "logs/metrics.json").read_text()) for run in (one, two)]
    for a, b in zip(*epochs, strict=True):
        undefined = {name for name, value in a["val"].items() if value is None}
        assert undefined == {name for name, value in b["val"].items() if value is None}
        for name in a["val"].keys() - undefined:
            assert b["val"][name] == pytest.approx(a["val"][name], rel=1e-3), name
    single, stopped_runs = (export.load(run / export.FILE)[0] for run in (one, two))
    initial = jax.device_get(weights.tensors(nnx.state(create(MODEL, TRAIN.seed))))
    assert distance(single, stopped_runs) < 1e-3 * distance(single, initial)


def test_two_processes_train_as_one(single, stopped_runs):
    run, stopped, (first, second) = stopped_runs
    step = checkpoint.load_meta(stopped / "latest")["step"]
    assert 8 <= step <= 10  # both stopped at the same step
    end = first.index(f"SIGTERM: saved step {step} of 12; the same command continues")
    assert "2 × cpu" in first[0] and first[end + 1 : end + 3] == [
        "False",
        f"continuing from {run}/latest: step {step} of 12",
    ]
    assert first[-1] == "True" and second == ["False", "True"]  # one speaks, and writes
    assert len(json.loads((run / "logs/run.json").read_text())["devices"]) == 2
    assert_same_run(single, run)


def test_one_process_goes_on_where_two_stopped(shards, single, stopped_runs):
    messages, run = [], stopped_runs[1]
    assert loop.run(loop.Settings(shards, run, MODEL, TRAIN), jax.devices()[:1], messages.append)
    assert messages[0].startswith(f"continuing from {run}/latest: step ")
    assert_same_run(single, run)


@pytest.mark.parametrize("process", [None, "1", "2/2", "a/b", "-1/2"])
def test_malformed_process_number_is_refused(process):
    with pytest.raises(Misuse, match=r"expected i/N with i from 0 to N - 1"):
        hosts.join("localhost:1", process)


def test_a_missing_process_number_is_called_missing():
    with pytest.raises(Misuse, match=r"--coordinator localhost:1: --process is missing"):
        hosts.join("localhost:1", None)


def test_a_process_number_goes_with_an_address():
    with pytest.raises(Misuse, match=r"0/2: goes with --coordinator HOST:PORT"):
        hosts.join(hosts.AUTO, "0/2")


def test_single_process_reports_a_signal_at_once():
    signal_steps = [None]
    mesh = loop.state.make_mesh(jax.devices()[:1])
    consensus = hosts.StopConsensus(lambda: signal_steps[0], mesh)
    assert consensus() is None
    signal_steps[0] = "SIGINT"
    assert consensus() == "SIGINT"
