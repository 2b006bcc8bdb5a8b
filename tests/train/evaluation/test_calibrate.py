"""Calibration: the regression by analytic truth, its samples, the curves it writes."""

import itertools
import math

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from safetensors import safe_open
from training import MODEL, SPEC, make_set

from model.__main__ import SHIPPED
from model.network import metrics, tensor_file, weights
from model.network.net import create
from model.registration import calibration
from model.registration.calibration import DEFAULT_CURVES
from model.registration.registrar import DEFAULT
from pipeline import calibration_touches
from pipeline.sources import generated
from pipeline.spec import PipelineSpec
from pipeline.synthesis import generate
from shards.batch import read_batch
from shards.foundation.errors import Fault, Misuse
from train import export
from train.__main__ import main
from train.evaluation import calibrate, calibration_samples, pairs
from train.evaluation.calibration_samples import (
    NO_ERRORS,
    NO_MATCHES,
    RegisteredSample,
    Samples,
)

GEOMETRY = weights.CropGeometry(SPEC["crop"], SPEC["size"], SPEC["grid"])


@pytest.fixture
def checkpoint(tmp_path):
    """An untrained network without curves."""
    path = tmp_path / "c.safetensors"
    arrays = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(MODEL, 3))).items()}
    export.save(path, arrays, weights.metadata(MODEL, GEOMETRY))
    return path


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("set"), train=2, val=20)


def test_regression_recovers_the_curve_of_the_samples():
    rng = np.random.default_rng(0)
    values = rng.uniform(-2, 2, 40_000)
    labels = rng.random(len(values)) < calibration.logistic(0.7 + 1.9 * values)
    offset, slope = calibrate.logistic_regression(values, labels)
    assert (offset, slope) == (pytest.approx(0.7, abs=0.06), pytest.approx(1.9, abs=0.08))


def test_log_odds_of_two_separable_samples_are_those_of_platts_targets():
    """The targets are 1/3 and 2/3, the log odds -log 2 and log 2."""
    line = calibrate.logistic_regression(np.array([-1.0, 1.0]), np.array([False, True]))
    assert line == (pytest.approx(0, abs=1e-4), pytest.approx(math.log(2), abs=1e-4))


@pytest.mark.parametrize("labels", [[], [True, True], [False]])
def test_labels_of_one_kind_are_refused(labels):
    with pytest.raises(ValueError, match="expected some of both"):
        calibrate.logistic_regression(np.zeros(len(labels)), np.array(labels, bool))


@pytest.mark.parametrize("fingers", [1, 2, 3, 4, 10])
def test_pairs_of_a_block(fingers):
    pairs = list(calibration_samples.list_pairs([range(4)] * fingers))
    assert all(a != b for a, b in pairs) and len(set(pairs)) == len(pairs)
    assert {f for (f, _), (g, _) in pairs if f == g} == set(range(fingers))
    genuine = sum(a[0] == b[0] for a, b in pairs)
    assert genuine == 2 * fingers
    assert len(pairs) - genuine == {1: 0, 2: 2, 3: 3}.get(fingers, 2 * fingers)


def test_matches_are_right_as_in_the_evaluation(checkpoint, shards):
    loaded = weights.load(checkpoint)
    confidence, right = calibration_samples.match_samples(loaded, shards)
    batch = read_batch(shards, "val", np.arange(20))
    arrays, matches = pairs.compile_network(loaded.net, GEOMETRY)(batch)
    used = np.asarray(matches.mutual & (matches.confidence > DEFAULT.least_confidence))
    assert 0 < used.sum() == len(confidence)
    np.testing.assert_allclose(confidence, np.asarray(matches.confidence)[used], rtol=1e-4)
    expected = np.asarray(arrays["visible"] & (arrays["error"] <= metrics.DEFAULT.tolerance))[used]
    assert (right == expected).mean() > 0.99  # rounding may change the side of the tolerance


def test_crops_of_another_geometry_are_refused(checkpoint, tmp_path):
    other = make_set(tmp_path / "other", train=2, val=2, spec=SPEC | {"crop": 80})
    with pytest.raises(Fault, match="trained on"):
        calibration_samples.match_samples(weights.load(checkpoint), other)
    none = make_set(tmp_path / "none", train=2, val=0)
    with pytest.raises(Misuse, match="no pairs of the split 'val'"):
        calibration_samples.match_samples(weights.load(checkpoint), none)


def test_genuine_pairs_have_more_evidence_and_errors_of_their_maps(monkeypatch):
    """Synthesized as in the command; a blank impression is in no pair."""
    impressions = generated.list_impressions("synthetic/t", PipelineSpec(fingers=2, impressions=2))

    def synthesize(impression):
        image, warp = generated.synthesize(impression)
        return (image * 0 + 250 if impression.image_id.endswith("1_1") else image), warp

    genuine, impostor = calibration_samples.registered_samples(
        SHIPPED, DEFAULT_CURVES, [impressions[:2], impressions[2:]], synthesize, 1
    )  # 0_0 with 0_1 and 1_0 with 0_1
    assert genuine.genuine and not impostor.genuine
    assert genuine.evidence[0] > 0.4 > 0.3 > impostor.evidence[0]
    assert len(impostor.errors) == len(impostor.doubts) == 0
    assert len(genuine.errors) == len(genuine.doubts) == 200
    distance = np.hypot(*genuine.errors.T)
    assert 0 < np.median(distance) < 1
    assert np.isfinite(genuine.doubts).all()
    assert len(genuine.matches.values) > 50 and genuine.matches.labels.mean() > 0.9
    assert not impostor.matches.labels.any()


def test_fingers_of_one_class_follow_each_other():
    fingers = calibration_touches.list_fingers(12)
    addresses = [finger[0].generator_address for finger in fingers]
    classes = [generate.sample_class(99, "synthetic/calib", finger) for _, finger, _ in addresses]
    assert sorted(finger for _, finger, _ in addresses) == list(range(12))
    assert len(list(itertools.groupby(classes))) == len(set(classes)) > 1
    master = generate.synthesize_master(99, "synthetic/calib", addresses[0][1])
    assert master.flow.label == classes[0]
    assert [len(finger) for finger in fingers] == [8] * 12


def test_impressions_of_a_calibration_are_usual_then_hard():
    impressions = calibration_touches.list_fingers(1)[0]
    usual, _ = calibration_touches.synthesize(impressions[0])
    np.testing.assert_array_equal(usual, generated.synthesize(impressions[0])[0])
    address = 99, "synthetic/calib", 0
    master = generate.synthesize_master(*address)
    settings = generate.ImpressionParameters(manner=calibration_touches.HARD)
    for number in (4, 5, 6, 7):
        image, warp = calibration_touches.synthesize(impressions[number])
        plain = generate.synthesize_impression(master, *address, number, parameters=settings)
        assert plain.params["manner"] != "plain"
        if number % 2 == 0:
            np.testing.assert_array_equal(image, plain.image)
            assert warp.to_json() == plain.warp.to_json()


def test_impressions_of_any_sensor_are_degraded_at_500_ppi(monkeypatch):
    """Their truth follows: the same point of the master is in the same place of the image."""
    monkeypatch.setattr(calibration_touches.degradation, "apply", lambda image, noise: image)
    fingers = calibration_touches.list_fingers(12)
    degraded = [finger[k] for finger in fingers for k in (5, 7)]
    assert {impression.ppi for impression in degraded} == {500}
    settings = generate.ImpressionParameters(manner=calibration_touches.HARD)
    tried = set()
    for impression in degraded:
        seed, finger, number = impression.generator_address
        address = seed, "synthetic/calib", finger
        if generate.sample_style(*address, number).ppi in tried:
            continue
        master = generate.synthesize_master(*address)
        plain = generate.synthesize_impression(master, *address, number, parameters=settings)
        tried.add(plain.ppi)
        image, warp = calibration_touches.synthesize(impression)
        scale = 500 / plain.ppi
        assert np.abs(np.array(image.shape) - scale * np.array(plain.image.shape)).max() <= 0.5
        points = np.array([[20.0, 30.0], [200.0, 150.0], [90.0, 260.0]])
        assert np.allclose(warp((points + 0.5) * scale - 0.5), plain.warp(points), atol=1e-6)
        window = np.s_[100:200, 100:200]
        again = cv2.resize(image, plain.image.shape[::-1], interpolation=cv2.INTER_CUBIC)
        assert np.corrcoef(again[window].ravel(), plain.image[window].ravel())[0, 1] > 0.9
    assert tried == {500, 512, 569, 1000}


def sample(genuine, rng):
    """A pair by a network that separates fingers, with errors of about half a px."""
    evidence = rng.normal(0.3 if genuine else -0.3, 0.3, 10)
    points = 20 if genuine else 0
    confidence, right = rng.uniform(0.1, 0.9, points), rng.random(points) < 0.9
    return RegisteredSample(
        genuine,
        evidence,
        rng.normal(size=(points, 4)),
        rng.normal(0, 0.5, (points, 2)),
        Samples(np.where(right, confidence, confidence / 2), right),
    )


def stub_samples(monkeypatch, sign=1):
    """Replace the samples by those of a network that separates fingers, and right matches."""
    rng = np.random.default_rng(4)
    pairs = [sample(k < 40, rng) for k in range(80)] + [
        RegisteredSample(False, None, *NO_ERRORS, NO_MATCHES)
    ]
    if sign < 0:
        pairs = [pair._replace(genuine=not pair.genuine) for pair in pairs]
    right = np.arange(200) < 120
    confidence = np.clip(np.where(right, 0.6, 0.3) + rng.normal(0, 0.2, 200), 0.02, 1)
    matches = Samples(confidence, right)
    monkeypatch.setattr(calibrate, "registered_samples", lambda *_: pairs)
    monkeypatch.setattr(calibrate, "match_samples", lambda *_: matches)


def command(checkpoint, shards):
    options = ["--shards", shards.directory, "--checkpoint", checkpoint, "--fingers", 2]
    return CliRunner().invoke(main, ["calibrate", *map(str, options)])


KEYS = ("calibration", "score", "uncertainty", "explained_matches", "sha256")


def test_command_writes_only_the_calibration(checkpoint, shards, monkeypatch):
    stub_samples(monkeypatch)
    before = checkpoint.read_bytes()
    done = command(checkpoint, shards)
    assert done.exit_code == 0, done.output
    after = checkpoint.read_bytes()
    start, now = (8 + int.from_bytes(data[:8], "little") for data in (before, after))
    assert now % tensor_file.ALIGNMENT == 0 and after[now:] == before[start:]
    with safe_open(checkpoint, "numpy") as file:
        metadata = file.metadata()
    written = [metadata.pop(key) for key in KEYS]
    assert all(written) and metadata == weights.metadata(MODEL, GEOMETRY)
    fitted = weights.load(checkpoint).calibration
    assert fitted.score.probability(np.full(10, -0.3)) < 0.2
    assert fitted.score.probability(np.full(10, 0.3)) > 0.8
    assert np.exp(fitted.uncertainty.offset) == pytest.approx(0.5, rel=0.2)
    assert fitted.explained_probability(np.array([0.5]))[0] == pytest.approx(0.95, abs=0.05)
    assert f"floor {fitted.score.floor:g}, offset {fitted.score.offset:g}" in done.output
    assert "within one and" in done.output
    assert not list(checkpoint.parent.glob(".*"))
    assert command(checkpoint, shards).exit_code == 0 and checkpoint.read_bytes() == after


def test_network_that_separates_nothing_is_not_calibrated(checkpoint, shards, monkeypatch):
    stub_samples(monkeypatch, sign=-1)
    before = checkpoint.read_bytes()
    done = command(checkpoint, shards)
    assert done.exit_code == 1 and "cannot be calibrated" in done.output
    assert "does not rise" in done.output
    assert checkpoint.read_bytes() == before


def test_coverage_of_normal_errors():
    rng = np.random.default_rng(0)
    constant = calibration.UncertaintyWeights(math.log(2.0), 0, 0, 0, 0)
    errors = rng.normal(0, 2, (20_000, 2))
    pair = RegisteredSample(True, np.zeros(10), np.zeros((20_000, 4)), errors, NO_MATCHES)
    assert calibrate.coverage(constant, [pair]) == pytest.approx([0.683, 0.954], abs=0.01)
