"""Evaluation on pairs: the command, its files, continuation after an interruption."""

import csv
import functools
import json
import re

import full_disk
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from training import make_set

from model.network import tensor_file, weights
from model.network.config import ModelConfig
from model.network.net import create
from model.registration.calibration import UNCALIBRATED
from shards.foundation.errors import Fault, Misuse
from shards.foundation.folder_lock import sole_writer
from train.__main__ import main
from train.evaluation import bootstrap, pair_report, pairs, result_log, sift, strata
from train.evaluation.bootstrap import BootstrapParameters
from train.evaluation.crop_methods import NETWORK, PHASE, REGISTERED, SIFT, SMOOTH
from train.evaluation.pairs import PairsParameters
from train.evaluation.worst_pairs import WorstPairsParameters

GEOMETRY = weights.CropGeometry(288, 128, 32)
CONFIG = ModelConfig(
    stride=8, stem_channels=4, stage_channels=(4, 8, 8), blocks=1, width=8, layers=1, heads=2,
    mlp=8, attention="linear",
)  # fmt: skip
SPEC = {"crop": 288, "size": 128, "grid": 32, "seed": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A shard set in set/ and an untrained checkpoint c.safetensors."""
    root = tmp_path_factory.mktemp("evaluate")
    make_set(root / "set", train=0, val=9, spec=SPEC)
    values = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(CONFIG, 0))).items()}
    tensor_file.write(root / "c.safetensors", values, weights.metadata(CONFIG, GEOMETRY))
    return root


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """9 pairs in batches of 4, the last of which is filled up; few pictures, few replicas."""
    evaluate = functools.partial(pairs.evaluate, parameters=PairsParameters(batch_size=4))
    monkeypatch.setattr(pairs, "evaluate", evaluate)
    show_worst(monkeypatch, 1)
    resample = functools.partial(
        bootstrap.resample_weights, parameters=BootstrapParameters(replicas=20)
    )
    monkeypatch.setattr(bootstrap, "resample_weights", resample)


def show_worst(monkeypatch, count):
    """Plot `count` of the worst pairs of each kind."""
    write = functools.partial(pair_report.write, parameters=WorstPairsParameters(count=count))
    monkeypatch.setattr(pair_report, "write", write)


def call(folder, out, *more):
    """The command; `more` may name another shard set or checkpoint."""
    arguments = ["--shards", folder / "set", "--checkpoint", folder / "c.safetensors", "--out", out]
    return CliRunner().invoke(main, ["evaluate", *map(str, (*arguments, "--split", "val", *more))])


def test_without_an_option_the_test_pairs_are_evaluated(folder, tmp_path, monkeypatch):
    def evaluate(shards, split, checkpoint, out, inputs):
        raise Fault(f"evaluates {split} as {inputs['split']}")

    monkeypatch.setattr(pairs, "evaluate", evaluate)
    make_set(tmp_path / "set", train=0, val=1, test=1, shards=1, spec=SPEC)
    arguments = ["--shards", tmp_path / "set", "--checkpoint", folder / "c.safetensors"]
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments), "--out", str(tmp_path)])
    assert "evaluates test as test" in result.output


def test_command_writes_metrics_by_method_and_group(folder, tmp_path):
    result = call(folder, tmp_path)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "evaluation.json").read_text())
    assert summary["score"] == UNCALIBRATED and f"c.safetensors: {UNCALIBRATED}" in result.output
    steps = {NETWORK, SMOOTH, REGISTERED}
    assert set(summary["methods"]) == steps | {SIFT, PHASE}
    of_sift = summary["methods"][SIFT]
    kinds = {"all", "genuine", "impostor", "sensor", "dryness", "pressure"}
    graded = {name.partition(" ")[0] for name in set(of_sift) - kinds}
    assert kinds < set(of_sift)
    assert graded == set(strata.CONDITIONS)
    for condition in strata.CONDITIONS:  # each pair with a true map is in one group per condition
        of_pairs = [of_sift[name]["pairs"] for name in of_sift if name.startswith(condition)]
        assert sum(of_pairs) == of_sift["all" if condition == "quality" else "genuine"]["pairs"]
    assert of_sift["all"]["fingers"] < 10
    assert of_sift["all"]["pck@2_low"] is None  # so few give no interval
    page = (tmp_path / "report.html").read_text()
    assert "Fewer than 10 fingers give\nno interval: there are" in page
    assert "pairs are an image and its own degraded copy" in page
    assert "genuine (an image and its own copy: easy)" in page
    assert "pairs are an image and its own degraded copy: easy" in result.output
    assert max(map(len, result.output.partition("pairs of")[0].splitlines())) < 100
    phase = summary["methods"][PHASE]["genuine"]
    assert phase["pck@8"] > 0.5
    assert of_sift["all"]["pairs"] == summary["pairs"] == 9
    assert of_sift["genuine"]["pck@8"] > 0.8 > 0.3 > summary["methods"][NETWORK]["all"]["pck@8"]
    assert of_sift["impostor"]["epe_median"] is None
    with (tmp_path / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] == "impostor" for row in rows] == [k % 4 == 3 for k in range(9)]
    assert [row["overlap"] == "" for row in rows] == [k % 4 == 3 for k in range(9)]
    assert 0 <= summary["calibration_error"] <= 1
    assert (tmp_path / "reliability.csv").read_text().startswith("matches,confidence,right")
    assert (tmp_path / "det.csv").read_text().startswith("method,threshold,fmr,fnmr")
    with (tmp_path / "histogram.csv").open() as file:
        bins = [row for row in csv.DictReader(file) if row["method"] == SIFT]
    assert (sum(int(b["genuine"]) for b in bins), sum(int(b["impostor"]) for b in bins)) == (7, 2)
    text = (tmp_path / "report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:image/(png|jpeg);base64,)", text)
    assert text.count("<img") == 1 + 1 + 2  # conditions, DET and histograms, the worst of a kind
    assert all(f"{name} " in text for name in strata.CONDITIONS)


def files(folder):
    """The files of an evaluation but for its log."""
    return {
        p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in (".csv", ".json", ".html")
    }


class Measure:
    """Stands in for the methods: results follow from the images; stops after `last` batches.

    Attributes:
        count: batches that were measured.
    """

    def __init__(self, last=10**6):
        self.last, self.count = last, 0

    def __call__(self, batch, network, matches, checkpoint):
        self.count += 1
        if self.count > self.last:
            raise KeyboardInterrupt
        grey = batch["image_a"][:, ::8, ::8].reshape(len(batch["genuine"]), -1) / 7
        visible = np.broadcast_to(batch["genuine"][:, None], grey.shape)
        one = {"error": grey.astype(np.float32), "visible": visible, "kept": grey > 18}
        one |= {"rotation_error": grey[:, 0] / 99, "score": grey.mean(1), "confidence": grey / 40}
        names = (NETWORK, SMOOTH, REGISTERED)
        return {name: one | {"genuine": batch["genuine"]} for name in names}


@pytest.fixture
def measured(monkeypatch):
    """The command with stand-ins of networks and methods: call it with those methods."""
    monkeypatch.setattr(pairs, "compile_network", lambda net, geometry: lambda batch: ({}, None))
    show_worst(monkeypatch, 0)

    def run(measure, *arguments):
        monkeypatch.setattr(pairs, "measure_batch", measure)
        return call(*arguments)

    return run


def test_killed_and_started_again_it_writes_the_same_bytes(folder, tmp_path, measured, monkeypatch):
    """Killed within the second of three batches, with an incomplete row at the end."""
    complete, killed = tmp_path / "complete", tmp_path / "killed"
    assert measured(Measure(), folder, complete).exit_code == 0
    assert measured(Measure(1), folder, killed).exit_code != 0
    assert not files(killed)
    (log,) = killed.glob("answers-*.jsonl")
    with log.open("ab") as file:
        file.write(b'{"pairs": [{"a": "x')
    for remaining in (2, 0):
        measure = Measure()
        result = measured(measure, folder, killed)
        assert result.exit_code == 0, result.output
        assert measure.count == remaining
        assert files(killed) == files(complete)
    monkeypatch.setattr("shards.foundation.files.temporary_file", full_disk.temporary_file)
    full = measured(Measure(), folder, complete)
    assert full.exit_code == 1
    assert f"error: {complete}: cannot be written: [Errno 28]" in full.output
    metrics = json.loads((complete / "evaluation.json").read_text())["methods"][NETWORK]
    assert metrics["genuine"]["epe_median"] > 1


def test_results_of_other_inputs_are_not_reused(folder, tmp_path, measured, monkeypatch):
    """After a start with another checkpoint, or other shards of the same settings."""
    monkeypatch.setattr(pair_report, "write", lambda *_: None)
    values = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(CONFIG, 1))).items()}
    tensor_file.write(tmp_path / "other.safetensors", values, weights.metadata(CONFIG, GEOMETRY))
    make_set(tmp_path / "set", train=0, val=9, seed=5, spec=SPEC)
    out, written = tmp_path / "out", []
    for more in (
        [],
        ["--checkpoint", tmp_path / "other.safetensors"],
        ["--shards", tmp_path / "set"],
    ):
        measured(Measure(1), folder, out, *more)
        measure = Measure()
        assert measured(measure, folder, out, *more).exit_code == 0
        assert measure.count == 2
        written.append((out / "pairs.csv").read_bytes())
    assert written[0] == written[1] != written[2]


def test_results_of_another_version_are_not_reused(folder, tmp_path, measured, monkeypatch):
    """A method's version, and that of a library; the same versions once more are reused."""

    def batches():
        measure = Measure()
        assert measured(measure, folder, tmp_path).exit_code == 0
        return measure.count

    monkeypatch.setattr(pair_report, "write", lambda *_: None)
    assert (batches(), batches()) == (3, 0)
    with monkeypatch.context() as changed:
        changed.setattr(sift, "VERSION", sift.VERSION + 1)
        assert (batches(), batches()) == (3, 0)
    with monkeypatch.context() as changed:
        changed.setattr(result_log, "library_versions", lambda: {"numpy": "0.0.1"})
        assert (batches(), batches()) == (3, 0)
    assert batches() == 0  # the results of the first version stayed


def test_another_split_leaves_the_results(folder, tmp_path, measured, monkeypatch):
    monkeypatch.setattr(pair_report, "write", lambda *_: None)
    make_set(tmp_path / "set", train=0, val=5, spec=SPEC)
    counts = []
    for more in ([], ["--shards", tmp_path / "set"], []):
        measure = Measure()
        assert measured(measure, folder, tmp_path / "out", *more).exit_code == 0
        counts.append(measure.count)
    assert counts == [3, 2, 0]


def test_a_damaged_batch_is_measured_again_in_its_place(folder, tmp_path, measured):
    complete, damaged = tmp_path / "complete", tmp_path / "damaged"
    for out in (complete, damaged):
        assert measured(Measure(), folder, out).exit_code == 0
    (log,) = damaged.glob("answers-*.jsonl")
    lines = log.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"kind": "genuine"', b'"kind": "impostor"', 1)
    log.write_bytes(b"".join(lines))
    measure = Measure()
    assert measured(measure, folder, damaged).exit_code == 0
    assert measure.count == 1 and files(damaged) == files(complete)


def test_two_evaluations_into_one_folder(folder, tmp_path, measured):
    with sole_writer(tmp_path):
        result = measured(Measure(), folder, tmp_path)
    assert result.exit_code == 2
    assert f"error: {tmp_path}: another process writes into it; wait" in result.output


def test_empty_split_and_other_crops_are_named(folder):
    from shards.store import open_set

    shards, checkpoint = open_set(folder / "set"), weights.load(folder / "c.safetensors")
    with pytest.raises(Misuse, match="no pairs of the split 'test'"):
        pairs.evaluate(shards, "test", checkpoint, folder, {})
    with pytest.raises(Fault, match="288"):
        pairs.check_geometry(shards, weights.CropGeometry(256, 128, 32))
