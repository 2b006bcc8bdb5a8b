"""The page on a run: complete, self-contained, also without logs."""

import functools
import json
import re
import shutil

import numpy as np
import pytest
from flax import nnx
from training import make_set

from model.network import tensor_file, weights
from model.network.config import ModelConfig
from model.network.net import create
from shards.foundation.errors import Fault, Misuse
from train import export, run_report
from train.evaluation import bootstrap, pair_files, pair_report, pairs
from train.evaluation.bootstrap import BootstrapParameters
from train.evaluation.crop_methods import NETWORK, PHASE, REGISTERED, SIFT, SMOOTH

GEOMETRY = weights.CropGeometry(72, 32, 8)
CONFIG = ModelConfig(
    image_size=32,
    stem_channels=4,
    stage_channels=(4, 8),
    blocks=1,
    width=8,
    layers=1,
    heads=2,
    mlp=8,
)
METRICS = {
    "epe_median": 9.5,
    "epe_mean": None,
    **{f"pck@{k}": k / 10 for k in (2, 4, 8)},
    **dict.fromkeys(("precision", "recall", "rotation_error_deg", "auc", "eer"), 0.25),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A shard set in set/ and a run in run/ with an untrained checkpoint and logs."""
    root = tmp_path_factory.mktemp("report")
    make_set(root / "set", train=0, val=5, shards=1)
    values = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(CONFIG, 0))).items()}
    (root / "run" / "logs").mkdir(parents=True)
    tensor_file.write(root / "run" / export.FILE, values, weights.metadata(CONFIG, GEOMETRY))
    steps = "".join(json.dumps({"step": k, "loss": 1 / k}) + "\n" for k in range(1, 9))
    (root / "run" / "logs" / "metrics.jsonl").write_text(steps)
    epochs = [{"step": 4, "val": {"pck@2": None, "pck@4": 0.2, "pck@8": 0.4, "epe_median": 9.0}}]
    (root / "run" / "logs" / "metrics.json").write_text(json.dumps(epochs))
    started = {"config": {"train.seed": 7, "train.steps": None}, "steps": 1234, "commit": "<c>"}
    (root / "run" / "logs" / "run.json").write_text(json.dumps(started))
    return root


def test_page_is_complete_and_self_contained(folder, monkeypatch):
    few = BootstrapParameters(replicas=20)
    resample = functools.partial(bootstrap.resample_weights, parameters=few)
    monkeypatch.setattr(bootstrap, "resample_weights", resample)
    messages = []
    page = folder / "new" / "report.html"
    run_report.write(folder / "set", folder / "run", page, None, messages.append)
    text = page.read_text()
    assert not re.search(r"(src|href)=\"(?!data:image/png;base64,)", text)
    assert "http" not in re.sub(r"base64,[^\"]+", "", text)
    assert text.count("<img") == 3 + 5  # conditions, the example, the curves, every pair
    for method in (NETWORK, SMOOTH, SIFT, PHASE):
        assert text.count(method) >= 2
    assert "1234" in text
    assert "&lt;c&gt;" in text  # text from files is escaped
    assert not messages

    # again: the evaluation is reused, a message says so, and the page is the same
    run_report.write(folder / "set", folder / "run", page, None, messages.append)
    assert "kept" in messages[0]
    assert page.read_text() == text

    # without logs there are no curves, as the page notes
    for name in ("metrics.jsonl", "metrics.json", "run.json"):
        (folder / "run" / "logs" / name).unlink()
    run_report.write(folder / "set", folder / "run", page, None, messages.append)
    assert "No logs of the training" in page.read_text()


@pytest.mark.parametrize(("test", "split"), [(1, "test"), (0, "val")])
def test_test_pairs_are_shown_where_there_are_some(folder, tmp_path, monkeypatch, test, split):
    def evaluate(shards, split, checkpoint, out, inputs):
        raise Fault(f"evaluates {split} as {inputs['split']}")

    monkeypatch.setattr(pairs, "evaluate", evaluate)
    make_set(tmp_path / "set", train=0, val=1, test=test, shards=1)
    shutil.copytree(folder / "run", tmp_path / "run", ignore=shutil.ignore_patterns("evaluation"))
    with pytest.raises(Fault, match=f"evaluates {split} as {split}"):
        run_report.write(tmp_path / "set", tmp_path / "run", tmp_path / "r.html", None, print)


def test_evaluation_of_another_checkpoint_is_not_reused(tmp_path):
    (tmp_path / pair_files.SUMMARY).write_text(
        json.dumps({"checkpoint_sha256": "1", "intervals_version": bootstrap.INTERVAL_VERSION})
    )
    (tmp_path / pair_files.PAIRS).write_text("pair\n0\n")
    assert pair_files.read(tmp_path, {"checkpoint_sha256": "1"}) is not None
    assert pair_files.read(tmp_path, {"checkpoint_sha256": "2"}) is None
    assert pair_files.read(tmp_path / "none", {}) is None
    (tmp_path / pair_files.SUMMARY).write_text(json.dumps({"checkpoint_sha256": "1"}))
    assert pair_files.read(tmp_path, {"checkpoint_sha256": "1"}) is None  # of earlier intervals


def test_the_example_is_a_pair_of_two_impressions():
    key = f"{REGISTERED}: median error"
    errors = [("genuine", "0.1"), ("genuine-impressions", "9.5"), ("impostor", ""), ("genuine", ""),
              ("genuine-impressions", "10.5"), ("genuine-impressions", "")]  # fmt: skip
    rows = [{"kind": kind, key: error} for kind, error in errors]
    assert [row[key] for row in run_report.example_candidates(rows)] == ["9.5", "10.5"]
    copies = [row for row in rows if row["kind"] != "genuine-impressions"]
    assert [row[key] for row in run_report.example_candidates(copies)] == ["0.1"]
    assert run_report.example_candidates(copies[1:2]) == []


def test_best_of_a_column_is_marked():
    methods = {
        "x": {"all": METRICS},
        "y": {"all": {**METRICS, "epe_median": 3.0, "auc": 0.1}},
    }
    rows = pair_report.accuracy_table(methods)
    best = {row["method"]: [cell["best"] for cell in row["cells"]] for row in rows}
    columns = [key for key, *_ in pair_report.COLUMNS]
    assert (best["x"][columns.index("epe_median")], best["y"][columns.index("epe_median")]) == (
        0,
        1,
    )
    assert (best["x"][columns.index("auc")], best["y"][columns.index("auc")]) == (1, 0)
    assert rows[0]["cells"][columns.index("epe_mean")] == {
        "text": "–", "interval": "", "best": False,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["metrics.json", "run.json"])
def test_damaged_logs_are_named(folder, name):
    (folder / "run/logs").mkdir(exist_ok=True)
    (folder / "run/logs" / name).write_text('[{"step": 1')
    with pytest.raises(Fault, match=rf"{name}: is not JSON"):
        run_report.write(folder / "set", folder / "run", folder / "r.html", None, print)
    (folder / "run/logs" / name).unlink()


def test_missing_picture_is_reported(folder):
    with pytest.raises(Misuse, match="no such picture"):
        run_report.write(
            folder / "set", folder / "run", folder / "r.html", folder / "none.png", print
        )
