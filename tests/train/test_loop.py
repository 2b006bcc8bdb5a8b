"""A training run: its files, its ends, resuming, and what it refuses."""

import dataclasses
import functools
import json
import math
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from training import MODEL, SPEC, TRAIN, make_set

from model.network import weights
from shards.foundation.errors import Fault, Misuse
from shards.foundation.folder_lock import sole_writer
from shards.manifest import Manifest
from shards.store import open_set
from train import checkpoint, curves, export, loader, loop, monitor, step, trainer
from train.__main__ import main
from train.data_check import check_fits

STEPS = 12  # two epochs of six


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("set")).directory


def train(shards, run, messages=None, model=MODEL, config=TRAIN, **options):
    settings = loop.Settings(shards, run, model, config, **options)
    return loop.run(settings, jax.devices()[:1], (messages if messages is not None else []).append)


@pytest.fixture(scope="module")
def straight(shards, tmp_path_factory):
    """The files of an uninterrupted run."""
    run = tmp_path_factory.mktemp("runs") / "straight"
    assert train(shards, run)
    return run


def results_of(run):
    """All results of a run that do not depend on the time it took."""
    folder = checkpoint.find(run, "latest")
    meta = checkpoint.load_meta(folder)
    state = checkpoint._restore(folder, meta["arrays"])
    clocked = ("pairs_per_s", "wait", "utilisation")
    lines = [curves.read_steps(run), json.loads((run / "logs/metrics.json").read_text())]
    for line in (line for part in lines for line in part):
        for key in clocked:
            line.pop(key, None)
    arrays = {name: np.asarray(value).tobytes() for name, value in state.items()}
    return arrays, meta, lines, exported(run)


def exported(run):
    """The bytes of every array in the run's last file, and its metadata."""
    arrays, facts = export.load(run / export.FILE)
    return {name: array.tobytes() for name, array in arrays.items()}, facts


def at_batch(monkeypatch, number, action):
    """Do `action` when the batch `number` of the process (from 1) is asked for."""
    original, calls = loader.TrainingBatches.__next__, 0

    def counted(self):
        nonlocal calls
        calls += 1
        if calls == number:
            action()
        return original(self)

    monkeypatch.setattr(loader.TrainingBatches, "__next__", counted)


def test_files_of_a_run(straight):
    names = {path.name for path in straight.iterdir()}
    assert {
        "dense_reg_epoch_1",
        "dense_reg_epoch_2",
        "latest",
        "dense_reg_ckpt.safetensors",
    } < names
    lines = curves.read_steps(straight)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert [line["epoch"] for line in lines] == [1] * 6 + [2] * 6
    assert lines[-1]["loss"] < lines[0]["loss"]
    epochs = json.loads((straight / "logs" / "metrics.json").read_text())
    assert [(epoch["epoch"], epoch["step"]) for epoch in epochs] == [(1, 6), (2, 12)]
    for epoch, steps in zip(epochs, (lines[:6], lines[6:]), strict=True):
        assert epoch["loss"] == pytest.approx(np.mean([line["loss"] for line in steps]))
        assert 0 <= epoch["val"]["pck@4"] <= 1 and epoch["val"]["epe_median"] > 0
        assert epoch["pairs_per_s"] > 0 and 0 <= epoch["wait"] < 1
        assert 0 < epoch["utilisation"] < 2
    assert (straight / "logs" / "curves.png").is_file()
    assert len(list((straight / "logs" / "tensorboard").iterdir())) == 1
    facts = json.loads((straight / "logs" / "run.json").read_text())
    assert facts["config"]["model.width"] == 16 and facts["config"]["pipeline.crop"] == 72
    assert len(facts["shards"]["training shards"]) == 64 and facts["commit"]
    assert len(facts["devices"]) == 1 and facts["versions"]["jax"] and len(facts["lock"]) == 64
    assert "parameters in" in (straight / "logs" / "train.log").read_text()
    assert weights.load(straight / "dense_reg_ckpt.safetensors").geometry.crop == 72


class Killed(BaseException):
    """Stands for kill -9: nothing runs after it."""


def die():
    raise Killed


@pytest.mark.parametrize("moment", [3, 9, 12])
def test_killed_and_resumed_is_the_same_bit_for_bit(
    shards, straight, tmp_path, monkeypatch, moment
):
    """From scratch (nothing was saved yet), in mid-epoch, before the very last step."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        at_batch(patch, moment, die)
        train(shards, tmp_path / "run")
    assert (tmp_path / "run" / "latest").exists() == (moment > 6)
    messages = []
    assert train(shards, tmp_path / "run", messages, resume="latest" if moment > 6 else None)
    assert moment < 6 or "step 6 of 12" in messages[0]
    assert results_of(tmp_path / "run") == results_of(straight)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_and_the_same_command_continues(
    shards, straight, tmp_path, monkeypatch, number
):
    messages, before = [], signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_batch(patch, 8, lambda: os.kill(os.getpid(), number))
        assert not train(shards, tmp_path / "run", messages)
    assert messages[-1] == f"{number.name}: saved step 8 of 12; the same command continues"
    assert checkpoint.load_meta(tmp_path / "run" / "latest")["step"] == 8
    assert signal.getsignal(number) is before
    assert train(shards, tmp_path / "run")
    assert results_of(tmp_path / "run") == results_of(straight)


def test_signal_while_validating(shards, straight, tmp_path, monkeypatch):
    original = loader.evaluation_batches

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loader, "evaluation_batches", interrupted)
        assert not train(shards, tmp_path / "run")
    assert json.loads((tmp_path / "run/logs/metrics.json").read_text()) == []
    assert train(shards, tmp_path / "run")
    assert results_of(tmp_path / "run") == results_of(straight)


def test_finished_run_is_unchanged(shards, straight):
    files = {p: p.stat().st_mtime_ns for p in straight.rglob("*") if p.name == "digests.json"}
    messages = []
    assert train(shards, straight, messages)
    assert messages == [
        f"already trained: {straight}/dense_reg_ckpt.safetensors holds step 12; nothing to do"
    ]
    assert files == {path: path.stat().st_mtime_ns for path in files}


def test_resumes_an_epoch_of_another_run(shards, straight, tmp_path):
    assert train(shards, tmp_path / "run", resume=str(straight / "dense_reg_epoch_1"))
    assert exported(tmp_path / "run") == exported(straight)


def test_other_config_is_refused_by_its_keys(shards, straight):
    config = dataclasses.replace(TRAIN, learning_rate=0.1, log_every=7)
    model = dataclasses.replace(MODEL, width=32)
    with pytest.raises(Fault, match="trained with another config") as fault:
        train(shards, straight, config=config, model=model)
    assert "train.learning_rate 0.001 in the checkpoint, 0.1 now" in str(fault.value)
    assert "model.width 16 in the checkpoint, 32 now" in str(fault.value)
    assert "log_every" not in str(fault.value)  # that one may change


def test_other_shards_are_refused(straight, tmp_path):
    other = make_set(tmp_path / "set", seed=1).directory
    for resume in (str(straight / "dense_reg_epoch_1"), None):  # also where all is done
        with pytest.raises(Fault, match="not those that the checkpoint was trained on"):
            train(other, straight, resume=resume)


@pytest.mark.parametrize(
    ("spec", "messages"),
    [
        ({**SPEC, "size": 64}, r"images of 64 px, the config's network takes 32 px"),
        ({**SPEC, "grid": 12}, r"truth on 12 cells per side, the config's network has 8"),
        ({"size": 32, "grid": 8}, r"manifest\.json: its spec has no whole crop"),
        ({**SPEC, "crop": "288"}, r"manifest\.json: its spec has no whole crop"),
    ],
)
def test_shards_that_do_not_fit(tmp_path, spec, messages):
    with pytest.raises(Fault, match=messages) as fault:
        check_fits(Manifest(spec, {}, ()), MODEL, tmp_path)
    assert str(tmp_path) in str(fault.value)


def test_coarser_network_than_the_truth_fits(tmp_path):
    check_fits(Manifest({**SPEC, "grid": 16}, {}, ()), MODEL, tmp_path)


@pytest.mark.parametrize(
    ("together", "patience", "dispatched"),
    [(8, 0.0, 10), (2, math.inf, 11), (8, math.inf, 12)],  # while another one ran
)
def test_divergence_names_step_and_pairs(
    shards, tmp_path, monkeypatch, together, patience, dispatched
):
    parameters = monitor.MonitorParameters(together, patience)
    monkeypatch.setattr(
        trainer, "Monitor", functools.partial(monitor.Monitor, parameters=parameters)
    )
    original, bad, calls = step.make_program, jnp.float32(np.nan), 0

    def poisoned(*arguments):
        program = original(*arguments)

        def compute(state, batch):
            nonlocal calls
            calls += 1
            state, figures = program.train(state, batch)
            return state, figures | ({"loss": bad} if calls == 9 else {})

        return dataclasses.replace(program, train=compute)

    monkeypatch.setattr(step, "make_program", poisoned)
    with pytest.raises(Fault, match=r"step 9 \(epoch 2\): loss is nan; its pairs: ") as fault:
        train(shards, tmp_path / "run")
    assert str(fault.value).count(" × ") == 4 and "and 4 more" in str(fault.value)
    ids = (tmp_path / "run/logs/train.log").read_text().splitlines()[-1]
    assert ids.count("synthetic/test/") == 16
    assert calls == dispatched
    assert checkpoint.load_meta(tmp_path / "run" / "latest")["step"] == 6


def test_no_validation_pairs(tmp_path):
    messages = []
    assert train(make_set(tmp_path / "set", val=0).directory, tmp_path / "run", messages)
    assert "no validation pairs, so no validation" in messages[0]
    epochs = json.loads((tmp_path / "run/logs/metrics.json").read_text())
    assert [epoch["val"] for epoch in epochs] == [None, None]


def test_overfit_validates_on_its_one_batch(shards, tmp_path, monkeypatch):
    original, validated = loader.evaluation_batches, []

    def spied(opened, split, batch_size, indices, *others):
        validated.append((split, list(indices)))
        return original(opened, split, batch_size, indices, *others)

    monkeypatch.setattr(loader, "evaluation_batches", spied)
    assert train(shards, tmp_path / "run", overfit=True)
    batches = loader.TrainingBatches(open_set(shards), TRAIN.batch_size, TRAIN.seed)
    assert validated == [("train", list(batches.indices(0)))] * TRAIN.epochs
    assert len(curves.read_steps(tmp_path / "run")) == STEPS
    with pytest.raises(Fault, match="overfit True then, False now"):
        train(shards, tmp_path / "run", resume=str(tmp_path / "run" / "dense_reg_epoch_1"))


def test_a_shard_that_is_replaced_while_training_ends_the_run(tmp_path, monkeypatch):
    """By one with the same records in another order: nothing else would notice it."""
    shards = make_set(tmp_path / "set")
    first, second = (shards.directory / entry.name for entry in shards.manifest.shards[:2])
    replace = functools.partial(second.replace, first)
    with monkeypatch.context() as patch:
        at_batch(patch, 8, replace)
        with pytest.raises(Fault, match=f"{first} was replaced or changed while the set was read"):
            train(shards.directory, tmp_path / "run")
    assert checkpoint.load_meta(tmp_path / "run" / "latest")["step"] == 6


def test_folder_of_a_running_run(shards, tmp_path):
    with (
        sole_writer(tmp_path),
        pytest.raises(Misuse, match=r"another process writes into it.*--checkpoint_dir"),
    ):
        train(shards, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match="is a file"):
        train(shards, tmp_path / "file")


CONFIG = """
from configs import Config
from pipeline.spec import PipelineSpec
from training import MODEL, TRAIN
CONFIG = Config(PipelineSpec(), MODEL, TRAIN)
"""


def command(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_command_line(shards, straight, tmp_path):
    (tmp_path / "tiny.py").write_text(CONFIG)
    run = tmp_path / "run"
    arguments = ("run", "--shards", shards, "--config", tmp_path / "tiny.py", "--devices", 1)
    finished = command(*arguments, "--checkpoint_dir", run)
    assert (
        finished.exit_code == 0
        and "50 training pairs, 10 validation pairs; 12 steps" in finished.output
    )
    assert results_of(run) == results_of(straight)
    again = command(*arguments, "--checkpoint-dir", run)
    assert again.exit_code == 0 and "already trained" in again.output
    missing = command(*arguments, "--checkpoint_dir", tmp_path / "none", "--resume_from", "latest")
    assert missing.exit_code == 2 and "no checkpoint here" in missing.output
    uneven = command(*arguments, "--checkpoint_dir", run, "--set", "train.accumulate=3")
    assert uneven.exit_code == 2 and "the nearest sizes that do: 6 or 9" in uneven.output
    no_set = command("run", "--shards", tmp_path, "--config", tmp_path / "tiny.py")
    assert no_set.exit_code == 2 and "no shard set here" in no_set.output
    tpu = command(*arguments, "--require", "tpu")
    assert tpu.exit_code == 2 and "make train-tpu PLATFORM=cpu" in tpu.output


@pytest.mark.parametrize(
    "setting",
    ["steps=0", "epochs=0", "log_every=0", "seed=-1", "batch_size=0", "learning_rate=0.0"],
)
def test_settings_that_cannot_be_trained(setting, shards):
    wrong = command("run", "--shards", shards, "--set", f"train.{setting}")
    assert wrong.exit_code == 2 and f"--set train.{setting}: " in wrong.output


def test_compare(straight, tmp_path):
    shown = command("compare", straight, straight, "--out", tmp_path / "curves.png")
    assert shown.exit_code == 0, shown.output
    table = shown.output.splitlines()
    assert table[0].split()[:4] == ["run", "epoch", "step", "loss"] and "val.pck@4" in table[0]
    assert table[1].split()[1:3] == ["2", "12"]
    assert "the settings are the same" in shown.output
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    nowhere = command("compare", straight, "--out", tmp_path / "curves.what")
    assert nowhere.exit_code == 1 and "curves.what: cannot be written" in nowhere.output
    none = command("compare", tmp_path)
    assert none.exit_code == 2 and "no finished epoch of a training run here" in none.output


def test_start_from_a_trained_network(shards, straight, tmp_path):
    trained = straight / export.FILE
    slow = dataclasses.replace(TRAIN, learning_rate=1e-9, weight_decay=0.0)
    assert train(shards, tmp_path / "run", config=slow, start_from=trained)
    start, _ = export.load(trained)
    end, _ = export.load(tmp_path / "run" / export.FILE)
    assert all(np.allclose(end[name], start[name], atol=1e-6) for name in start)
    losses = [line["loss"] for line in curves.read_steps(tmp_path / "run")]
    assert np.mean(losses) < curves.read_steps(straight)[0]["loss"]
    with pytest.raises(Fault, match="start_from 'a network of sha256"):
        train(shards, tmp_path / "run", config=slow)


def test_command_line_starts_from_a_network(shards, straight, tmp_path):
    (tmp_path / "tiny.py").write_text(CONFIG)
    arguments = ("run", "--shards", shards, "--config", tmp_path / "tiny.py", "--devices", 1)
    arguments += ("--checkpoint_dir", tmp_path / "run", "--start-from")
    missing = command(*arguments, tmp_path / "none.safetensors")
    assert missing.exit_code == 2 and "none.safetensors: no such checkpoint" in missing.output
    other = command(*arguments, straight / export.FILE, "--set", "model.layers=2")
    assert other.exit_code == 2 and "its network differs: layers 1, here 2" in other.output


def test_a_network_with_other_settings_is_not_started_from(shards, straight, tmp_path):
    wider = dataclasses.replace(MODEL, width=32)
    with pytest.raises(Misuse, match="its network differs: width 16, here 32"):
        train(shards, tmp_path / "run", model=wider, start_from=straight / export.FILE)
    with pytest.raises(Misuse, match="no such checkpoint"):
        train(shards, tmp_path / "run", start_from=tmp_path / "none.safetensors")
