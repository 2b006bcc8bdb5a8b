"""Calibration: the regression by analytic truth, what it is fed, and what it writes."""

import dataclasses
import math

import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from safetensors import safe_open
from training import MODEL, SPEC, make_set

from model.__main__ import SHIPPED
from model.network import metrics, weights
from model.network.net import create
from model.registration import calibration
from model.registration.registrar import DEFAULT
from pipeline.sources import generated
from pipeline.spec import PipelineSpec
from shards.foundation.errors import Fault, Misuse
from train import export, loader
from train.__main__ import main
from train.evaluation import calibrate, pairs

VIEW = weights.CropGeometry(SPEC["crop"], SPEC["size"], SPEC["grid"])


@pytest.fixture
def checkpoint(tmp_path):
    """An untrained network without curves."""
    path = tmp_path / "c.safetensors"
    arrays = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(MODEL, 3))).items()}
    export.save(path, arrays, weights.metadata(MODEL, VIEW))
    return path


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("set"), train=2, val=20)


def test_regression_finds_the_curve_that_drew_the_answers():
    rng = np.random.default_rng(0)
    values = rng.uniform(-2, 2, 40_000)
    true = rng.random(len(values)) < calibration.logistic(0.7 + 1.9 * values)
    offset, slope = calibrate.logistic_regression(values, true)
    assert (offset, slope) == (pytest.approx(0.7, abs=0.06), pytest.approx(1.9, abs=0.08))


def test_of_two_answers_the_odds_are_those_of_platts_targets():
    """1/3 and 2/3: log odds of -log 2 and log 2, though the values part the answers wholly."""
    found = calibrate.logistic_regression(np.array([-1.0, 1.0]), np.array([False, True]))
    assert found == (pytest.approx(0, abs=1e-4), pytest.approx(math.log(2), abs=1e-4))


@pytest.mark.parametrize("true", [[], [True, True], [False]])
def test_answers_of_one_kind_are_refused(true):
    with pytest.raises(ValueError, match="expected some of both"):
        calibrate.logistic_regression(np.zeros(len(true)), np.array(true, bool))


@pytest.mark.parametrize("fingers", [1, 2, 3, 4, 10])
def test_pairs_of_a_block(fingers):
    pairs = list(calibrate._pairs([range(4)] * fingers))
    assert all(a != b for a, b in pairs) and len(set(pairs)) == len(pairs)
    assert {f for (f, _), (g, _) in pairs if f == g} == set(range(fingers))
    genuine = sum(a[0] == b[0] for a, b in pairs)
    assert genuine == 2 * fingers
    assert len(pairs) - genuine == {1: 0, 2: 2, 3: 3}.get(fingers, 2 * fingers)


def test_matches_are_judged_as_the_evaluation_does(checkpoint, shards):
    loaded = weights.load(checkpoint)
    confidence, right = calibrate.confidences(loaded, shards)
    batch = loader.read(shards, "val", np.arange(20))
    judged, found = pairs._compile(loaded.net, VIEW)(batch)
    said = np.asarray(found.mutual & (found.confidence > DEFAULT.least_confidence))
    assert 0 < said.sum() == len(confidence)
    np.testing.assert_allclose(confidence, np.asarray(found.confidence)[said], rtol=1e-4)
    expected = np.asarray(judged["visible"] & (judged["error"] <= metrics.DEFAULT.tolerance))[said]
    assert (right == expected).mean() > 0.99  # but where rounding lays one on the other side


def test_crops_that_the_network_was_not_trained_on_are_refused(checkpoint, tmp_path):
    other = make_set(tmp_path / "other", train=2, val=2, spec=SPEC | {"crop": 80})
    with pytest.raises(Fault, match="trained on"):
        calibrate.confidences(weights.load(checkpoint), other)
    none = make_set(tmp_path / "none", train=2, val=0)
    with pytest.raises(Misuse, match="no pairs of the split 'val'"):
        calibrate.confidences(weights.load(checkpoint), none)


def test_ridges_agree_in_pairs_of_one_finger(monkeypatch):
    """Drawn as the command does it; an impression that shows nothing is in no pair."""
    drawings = generated.list_impressions("synthetic/t", PipelineSpec(fingers=2, impressions=2))

    def draw(impression):
        image, warp = generated.synthesize(impression)
        return (image * 0 + 250 if impression.image_id.endswith("1_1") else image), warp

    agreed, genuine = calibrate.agreements(SHIPPED, [drawings[:2], drawings[2:]], draw, 1)
    assert genuine.tolist() == [True, False]  # 0_0 with 0_1 and 1_0 with 0_1
    assert agreed[0] > 0.4 > 0.3 > agreed[1]


def stub(monkeypatch, sign=1):
    """Answers of a network that tells fingers apart, and right matches from wrong ones."""
    rng = np.random.default_rng(4)
    genuine = np.arange(60) < 30
    agreed = 0.3 + sign * np.where(genuine, 0.1, -0.1) + rng.normal(0, 0.08, 60)
    right = np.arange(200) < 120
    sure = np.clip(np.where(right, 0.6, 0.3) + rng.normal(0, 0.2, 200), 0.02, 1)
    monkeypatch.setattr(calibrate, "agreements", lambda *_: (agreed, genuine))
    monkeypatch.setattr(calibrate, "confidences", lambda *_: (sure, right))


def command(checkpoint, shards):
    found = ["--shards", shards.directory, "--checkpoint", checkpoint, "--fingers", 2]
    return CliRunner().invoke(main, ["calibrate", *map(str, found)])


def test_command_writes_the_curves_and_nothing_else(checkpoint, shards, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(checkpoint.parent / "cache"))
    stub(monkeypatch)
    before = checkpoint.read_bytes()
    done = command(checkpoint, shards)
    assert done.exit_code == 0, done.output
    after = checkpoint.read_bytes()
    start, now = (8 + int.from_bytes(data[:8], "little") for data in (before, after))
    assert now % export.ALIGNED == 0 and after[now:] == before[start:]
    with safe_open(checkpoint, "numpy") as file:
        facts = file.metadata()
    assert facts.pop("calibration") and facts == weights.metadata(MODEL, VIEW)
    found = weights.load(checkpoint).curves
    assert found is not None and found.probability(0.2) < 0.2 < 0.8 < found.probability(0.4)
    assert f"offset {found.score_offset:g}, slope {found.score_slope:g}" in done.output
    assert not list(checkpoint.parent.glob(".*"))
    assert command(checkpoint, shards).exit_code == 0 and checkpoint.read_bytes() == after


def test_a_network_that_tells_nothing_apart_is_not_calibrated(checkpoint, shards, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(checkpoint.parent / "cache"))
    stub(monkeypatch, sign=-1)
    before = checkpoint.read_bytes()
    done = command(checkpoint, shards)
    assert done.exit_code == 1 and "cannot be calibrated" in done.output
    assert "does not rise" in done.output
    assert checkpoint.read_bytes() == before


def test_the_calibration_error_is_told(monkeypatch):
    """Of a curve that says 0.5 of all: half of ten are true, then all of them."""
    flat = dataclasses.replace(calibration.DEFAULT_CURVES, score_offset=-0.3, score_slope=1.0)
    values = np.full(10, 0.3)
    half = np.arange(10) < 5
    said = calibrate.describe(flat, (values, half), (np.full(10, 0.5), half))
    assert "calibration error 0.000; ridges of 5 pairs" in said
    assert "of the bare confidence 0.000; 50% of 10 are right to 8 px" in said
