"""The FVC protocol from a folder of images to a page, with an untrained network."""

import csv
import functools
import json
import re

import cv2
import full_disk
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from prints import finger

from model.network import tensor_file, weights
from model.network.config import ModelConfig
from model.network.net import create
from model.registration.calibration import UNCALIBRATED
from train.__main__ import main
from train.evaluation import fvc_report, fvc_results, score_curves
from train.evaluation.worst_pairs import WorstPairsParameters

CONFIG = ModelConfig(
    stride=8, stem_channels=4, stage_channels=(4, 8, 8), blocks=1, width=8, layers=1, heads=2,
    mlp=8, attention="linear",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two fingers of two impressions, an image without a finger, a checkpoint and minutiae."""
    root = tmp_path_factory.mktemp("fvc")
    images = root / "DB<1>"
    images.mkdir()
    minutiae = {}
    for name, seed in {"1_1": 1, "1_2": 1, "2_1": 2, "2_2": 2, "3_1": None}.items():
        image = np.full((200, 180), 230, np.uint8) if seed is None else finger(seed, 200, 180)
        cv2.imwrite(str(images / f"{name}.png"), image)
        points = np.random.default_rng(seed).uniform(60, 120, (9, 2))
        minutiae[f"{name}.png"] = np.c_[points, np.ones((9, 2))]
    np.savez(root / "m.npz", **minutiae)
    values = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(CONFIG, 0))).items()}
    tensor_file.write(
        root / "c.safetensors", values, weights.metadata(CONFIG, weights.CropGeometry(288, 128, 32))
    )
    return root


def call(root, out, *more):
    arguments = ["--fvc", root / "DB<1>", "--checkpoint", root / "c.safetensors", "--out", out]
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments), *map(str, more)])


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_command_reports_failed_comparisons_and_writes_the_others(root, monkeypatch):
    write = functools.partial(fvc_report.write, parameters=WorstPairsParameters(count=1))
    monkeypatch.setattr(fvc_report, "write", write)
    out = root / "out"
    result = call(root, out, "--minutiae", root / "m.npz")
    assert result.exit_code == 1
    assert "3_1.png: no foreground" in result.output
    assert f": {UNCALIBRATED}" in result.output
    assert f"{root / 'DB<1>'}: images by resolution: 500 ppi (assumed): 5" in result.output
    summary = json.loads((out / "fvc.json").read_text())
    assert summary["score"] == UNCALIBRATED
    counts = {k: summary[k] for k in ("fingers", "genuine", "impostor", "failed")}
    assert counts == {"fingers": 3, "genuine": 2, "impostor": 3, "failed": 2}
    methods = ["network", "SIFT + RANSAC", "phase correlation", "rigid oracle"]
    assert list(summary["methods"]) == methods
    # the same image twice: the classical methods find the identity
    for method in methods[1:]:
        metrics = summary["methods"][method]
        assert (metrics["eer"], metrics["zero_fmr"], metrics["confirmed"]) == (0, 0, 1)
        assert metrics["residual"] < 0.5
    assert [row["method"] for row in table(out / "figures.csv")] == methods
    scores = table(out / "scores.csv")
    assert [(row["a"], row["b"]) for row in scores[:2]] == [
        ("1_1.png", "1_2.png"), ("2_1.png", "2_2.png"),
    ]  # fmt: skip
    assert [bool(row["fault"]) for row in scores] == [False, False, False, True, True]
    assert {row["method"] for row in table(out / "det.csv")} == set(methods)
    bins = table(out / "histogram.csv")
    assert sum(int(row["genuine"]) for row in bins) == 2 * len(methods)
    assert sum(int(row["impostor"]) for row in bins) == len(methods)
    assert len(list((out / "worst").glob("*.png"))) == 2
    page = (out / "report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:image/)", page)
    assert page.count("<img") == 1 + 2
    assert "DB&lt;1&gt;" in page
    assert "no foreground" in page

    # a full disk is reported, and the log remains
    with monkeypatch.context() as changed:
        changed.setattr("shards.foundation.files.temporary_file", full_disk.temporary_file)
        full = call(root, out, "--minutiae", root / "m.npz")
    assert full.exit_code == 1
    assert f"error: {out}: cannot be written: [Errno 28]" in full.output
    (out / "det.csv").unlink()

    # again: nothing is compared once more; results with other minutiae are kept beside
    (log,) = out.glob("answers-*.jsonl")
    before = log.read_bytes()
    assert call(root, out, "--minutiae", root / "m.npz").exit_code == 1
    assert log.read_bytes() == before
    assert call(root, out).exit_code == 1
    assert len(list(out.glob("answers-*.jsonl"))) == 2 and log.read_bytes() == before


def test_one_finger_has_no_error_rates(tmp_path):
    """Without impostor comparisons there are neither metrics nor curves."""
    rows = [{"a": "1_1.png", "b": "1_2.png", "genuine": True, "fault": None,
             "scores": {"network": 0.5}, "minutiae": {}}]  # fmt: skip
    results = fvc_results.collect(rows)
    assert results.metrics() == {"network": {}}
    assert score_curves.det_points(results.scores, results.genuine) == []
    assert fvc_report.find_worst(results) == {"genuine": [0], "impostor": []}
    assert "network" in fvc_report.console_table(results)


def test_worst_are_the_lowest_genuine_and_the_highest_impostors():
    scores = [0.9, 0.2, None, 0.5, 0.1, 0.8, 0.3]
    rows = [
        {"a": f"{k}_1.png", "b": f"{k}_2.png", "genuine": k < 4, "fault": s is None and "bad",
         "scores": {} if s is None else {"network": s}, "minutiae": {}}
        for k, s in enumerate(scores)
    ]  # fmt: skip
    assert fvc_report.find_worst(fvc_results.collect(rows)) == {
        "genuine": [1, 3, 0],
        "impostor": [5, 6, 4],
    }


@pytest.mark.parametrize("more", [["--ppi", "500"], ["--minutiae", "m.npz"]])
def test_options_of_the_protocol_need_it(root, more):
    arguments = ["--shards", root, "--checkpoint", root / "c.safetensors", "--out", root / "o"]
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments), *more])
    assert result.exit_code == 2
    assert "go with --fvc" in result.output


def test_the_protocol_has_no_split(root):
    arguments = ["--fvc", root, "--checkpoint", root / "c.safetensors", "--out", root / "o"]
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments), "--split", "val"])
    assert result.exit_code == 2
    assert "--split goes with --shards" in result.output
