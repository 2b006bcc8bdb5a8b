"""The evaluation: what it measures, and what it writes."""

import csv
import functools
import json
import math
import re

import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from pairs import make_pairs
from safetensors.numpy import save_file
from training import make_set

from model.network import weights
from model.network.config import ModelConfig
from model.network.grid import pool_truth
from model.network.matching import Correspondences
from model.network.net import create
from model.registration.calibration import UNCALIBRATED
from pipeline.imaging.warp import pixel_grid
from shards.foundation.errors import Fault, Misuse
from train.__main__ import main
from train.evaluation import accuracy, bootstrap, crop_methods, pair_report, pairs, strata
from train.evaluation.bootstrap import BootstrapParameters

VIEW = weights.CropGeometry(288, 128, 32)
CONFIG = ModelConfig(
    stride=8, stem_channels=4, stage_channels=(4, 8, 8), blocks=1, width=8, layers=1, heads=2,
    mlp=8, attention="linear",
)  # fmt: skip
SPEC = {"crop": 288, "size": 128, "grid": 32, "seed": 0}
CELLS = pixel_grid(16, 16, 8).reshape(-1, 2)


def batch_of(pairs):
    return {
        "map_ab": np.stack([np.nan_to_num(p.map_ab) for p in pairs]),
        "visible": np.stack([p.visible for p in pairs]),
        "genuine": np.array([p.genuine for p in pairs]),
    }


def claim(points, kept=None, angle=0.0, score=0.5):
    kept = np.zeros(len(points), bool) if kept is None else kept
    return crop_methods.Claimed(points, kept, angle, score)


def test_measure_of_a_known_shift():
    """Truth: 3 px to the right, of crops 2.25 times smaller than 500 ppi."""
    shape = (1, 32, 32)
    truth = pixel_grid(32, 32, 4)[None] + np.array([3.0, 0.0])
    batch = {
        "map_ab": truth.astype(np.float32),
        "visible": np.ones(shape, bool),
        "genuine": np.ones(1, bool),
    }
    kept = np.arange(256) < 64
    right, lost = CELLS + np.array([3.0, 0.0]), CELLS + np.array([3.0, 4.0])
    exact = crop_methods.measure([claim(right, kept)], batch, CELLS, VIEW)
    wrong = crop_methods.measure([claim(lost, kept, 0.5)], batch, CELLS, VIEW)
    np.testing.assert_allclose(exact["error"], 0, atol=1e-4)
    np.testing.assert_allclose(wrong["error"], 9, atol=1e-4)
    np.testing.assert_allclose(exact["rotation_error"], 0, atol=1e-5)
    np.testing.assert_allclose(wrong["rotation_error"], 0.5, atol=1e-5)
    figures = accuracy.summarise(exact)
    assert (figures["epe_median"], figures["pck@2"], figures["precision"]) == (
        pytest.approx(0, abs=1e-4), 1, 1,
    )  # fmt: skip
    assert figures["recall"] == 0.25
    assert accuracy.summarise(wrong)["precision"] == 0


def test_sift_stands_where_the_truth_is():
    """Another program finds what the pairs say is true, turns included: the conventions agree."""
    pairs = [p for p in make_pairs(8, 1) if p.genuine]
    claims = [crop_methods.sift_ransac((p.image_a, p.image_b), CELLS, VIEW) for p in pairs]
    found = crop_methods.measure(claims, batch_of(pairs), CELLS, VIEW)
    assert np.median(found["error"][found["visible"]]) < 2.5  # the pairs are elastic, SIFT is not
    assert np.median(found["rotation_error"]) < math.radians(1.5)
    assert accuracy.summarise(found)["precision"] > 0.9


def test_each_step_improves_noisy_matches():
    """Matches with an error of 1.5 px of the crop, 3.4 px at 500 ppi, along x and y."""
    pairs = [p for p in make_pairs(4, 2) if p.genuine]
    batch, rng = batch_of(pairs), np.random.default_rng(0)
    truth = np.asarray(pool_truth(batch["map_ab"], batch["visible"], 16)[0])
    points = truth + rng.normal(0, 1.5, truth.shape)
    confidence = np.full(points.shape[:2], 0.5)
    found = Correspondences(points, confidence, (truth != 0).all(-1))
    smooth = [crop_methods.smooth(found, k, CELLS, VIEW) for k in range(len(pairs))]
    full = [
        crop_methods.registered(found, k, (p.image_a, p.image_b), CELLS, VIEW)
        for k, p in enumerate(pairs)
    ]
    raw = np.linalg.norm(points - truth, axis=-1) * 2.25
    results = [crop_methods.measure(claims, batch, CELLS, VIEW) for claims in (smooth, full)]
    seen = results[0]["visible"]
    errors = [np.median(e[seen]) for e in (raw, results[0]["error"], results[1]["error"])]
    assert errors[1] < errors[0] / 2
    assert errors[2] < min(errors[1] / 2, 0.5)
    for result in results:
        assert result["rotation_error"].max() < math.radians(3)
        assert 0 < result["score"].min() <= result["score"].max() <= 1


def test_no_transform_leaves_the_prints_as_they_are():
    blank = np.full((128, 128), 200, np.uint8)
    said = crop_methods.sift_ransac((blank, blank), CELLS, VIEW)
    np.testing.assert_array_equal(said.points, CELLS)
    assert (said.kept.any(), said.score) == (False, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A shard set in set/ and an untrained checkpoint c.safetensors."""
    root = tmp_path_factory.mktemp("evaluate")
    make_set(root / "set", train=0, val=9, spec=SPEC)
    values = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(CONFIG, 0))).items()}
    save_file(values, root / "c.safetensors", weights.metadata(CONFIG, VIEW))
    return root


@pytest.fixture(autouse=True)
def few(monkeypatch, tmp_path):
    """9 pairs in batches of 4, the last of which is filled up; few pictures, few replicas."""
    monkeypatch.setattr(pairs, "BATCH", 4)
    monkeypatch.setattr(pair_report, "WORST", 1)
    few = BootstrapParameters(replicas=20)
    resample = functools.partial(bootstrap.resample_weights, parameters=few)
    monkeypatch.setattr(bootstrap, "resample_weights", resample)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def call(folder, out, *more):
    """The command; `more` may name another shard set or checkpoint."""
    arguments = ["--shards", folder / "set", "--checkpoint", folder / "c.safetensors", "--out", out]
    return CliRunner().invoke(main, ["evaluate", *map(str, (*arguments, "--split", "val", *more))])


def test_command_writes_figures_by_method_and_group(folder, tmp_path):
    result = call(folder, tmp_path)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert report["score"] == UNCALIBRATED and f"c.safetensors: {UNCALIBRATED}" in result.output
    steps = {pairs.NETWORK, pairs.SMOOTH, pairs.REGISTERED}
    assert set(report["methods"]) == steps | {pairs.SIFT, pairs.PHASE}
    sift = report["methods"][pairs.SIFT]
    kinds = {"all", "genuine", "impostor", "sensor", "dryness", "pressure"}
    graded = {name.partition(" ")[0] for name in set(sift) - kinds}
    assert kinds < set(sift)
    assert graded == set(strata.BINS)
    for grades in strata.BINS:  # every pair with a true map is in one group of each condition
        of_pairs = [sift[name]["pairs"] for name in sift if name.startswith(grades)]
        assert sum(of_pairs) == sift["all" if grades == "quality" else "genuine"]["pairs"]
    assert sift["all"]["pck@2_low"] <= sift["all"]["pck@2"] <= sift["all"]["pck@2_high"]
    assert sift["all"]["auc_low"] <= sift["all"]["auc"] <= sift["all"]["auc_high"]
    phased = report["methods"][pairs.PHASE]["genuine"]
    assert phased["pck@8"] > 0.5
    assert sift["all"]["pairs"] == report["pairs"] == 9
    assert sift["genuine"]["pck@8"] > 0.8 > 0.3 > report["methods"][pairs.NETWORK]["all"]["pck@8"]
    assert sift["impostor"]["epe_median"] is None
    with (tmp_path / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] == "impostor" for row in rows] == [k % 4 == 3 for k in range(9)]
    assert [row["overlap"] == "" for row in rows] == [k % 4 == 3 for k in range(9)]
    assert 0 <= report["calibration_error"] <= 1
    assert (tmp_path / "reliability.csv").read_text().startswith("matches,confidence,right")
    assert (tmp_path / "det.csv").read_text().startswith("method,threshold,fmr,fnmr")
    with (tmp_path / "histogram.csv").open() as file:
        bins = [row for row in csv.DictReader(file) if row["method"] == pairs.SIFT]
    assert (sum(int(b["genuine"]) for b in bins), sum(int(b["impostor"]) for b in bins)) == (7, 2)
    text = (tmp_path / "report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:image/(png|jpeg);base64,)", text)
    assert text.count("<img") == 1 + 1 + 2  # conditions, DET and histograms, the worst of a kind
    assert all(f"{name} " in text for name in strata.BINS)


def files(folder):
    """What an evaluation wrote, but for its ledger."""
    return {
        p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in (".csv", ".json", ".html")
    }


class Measure:
    """Stands in for the methods, whose results follow from the images; stops at batch `last`."""

    def __init__(self, last=10**6):
        self.last, self.made = last, 0

    def __call__(self, batch, results, found, checkpoint):
        self.made += 1
        if self.made > self.last:
            raise KeyboardInterrupt
        grey = batch["image_a"][:, ::8, ::8].reshape(len(batch["genuine"]), -1) / 7
        visible = np.broadcast_to(batch["genuine"][:, None], grey.shape)
        one = {"error": grey.astype(np.float32), "visible": visible, "kept": grey > 18}
        one |= {"rotation_error": grey[:, 0] / 99, "score": grey.mean(1), "confidence": grey / 40}
        names = (pairs.NETWORK, pairs.SMOOTH, pairs.REGISTERED)
        return {name: one | {"genuine": batch["genuine"]} for name in names}


@pytest.fixture
def measured(monkeypatch):
    """Evaluations with stand-ins of networks and methods: call it with those methods."""
    monkeypatch.setattr(pairs, "_compile", lambda net, view: lambda batch: ({}, None))
    monkeypatch.setattr(pair_report, "WORST", 0)

    def run(measure, *arguments):
        monkeypatch.setattr(pairs, "_measure", measure)
        return call(*arguments)

    return run


def test_killed_and_started_again_it_writes_the_same_bytes(folder, tmp_path, measured):
    """Killed within the second of three batches, with its row cut off."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert measured(Measure(), folder, whole).exit_code == 0
    assert measured(Measure(1), folder, killed).exit_code != 0
    assert not files(killed)
    with (killed / pairs.LEDGER).open("ab") as file:
        file.write(b'{"about": [{"a": "x')
    for left in (2, 0):
        measure = Measure()
        result = measured(measure, folder, killed)
        assert result.exit_code == 0, result.output
        assert measure.made == left
        assert files(killed) == files(whole)
    (whole / "report.html").unlink()
    (whole / "report.html").symlink_to("/dev/full")
    full = measured(Measure(), folder, whole)
    assert full.exit_code == 1 and f"error: {whole}: cannot be written: [Errno 28]" in full.output
    figures = json.loads((whole / "evaluation.json").read_text())["methods"][pairs.NETWORK]
    assert figures["genuine"]["epe_median"] > 1


def test_answers_of_others_are_not_mixed_in(folder, tmp_path, measured, monkeypatch):
    """Begun with another checkpoint, or other shards of the same settings, all is made anew."""
    monkeypatch.setattr(pair_report, "write", lambda *_: None)
    values = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(CONFIG, 1))).items()}
    save_file(values, tmp_path / "other.safetensors", weights.metadata(CONFIG, VIEW))
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
        assert measure.made == 2
        written.append((out / "pairs.csv").read_bytes())
    assert written[0] == written[1] != written[2]


def test_empty_split_and_other_crops_are_named(folder):
    from shards.store import open_set

    shards, checkpoint = open_set(folder / "set"), weights.load(folder / "c.safetensors")
    with pytest.raises(Misuse, match="no pairs of the split 'test'"):
        pairs.evaluate(shards, "test", checkpoint, folder, {})
    with pytest.raises(Fault, match="288"):
        pairs.check_view(shards, weights.CropGeometry(256, 128, 32))
