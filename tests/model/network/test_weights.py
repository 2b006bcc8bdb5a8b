"""Checkpoints: read as written, and every kind of damage is reported."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from model.network import weights
from model.network.config import ModelConfig
from model.network.net import create
from model.registration.calibration import DEFAULT_CURVES
from shards.foundation.errors import Fault, Misuse

CONFIG = ModelConfig(
    image_size=32, stem_channels=4, stage_channels=(4, 8), width=16, layers=1, heads=2, mlp=16
)
GEOMETRY = weights.CropGeometry(crop=72, size=32, grid=8)


def save(path, net, **changes):
    arrays = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(net)).items()}
    save_file(arrays, path, {**weights.metadata(net.config, GEOMETRY), **changes})
    return arrays


@pytest.fixture(scope="module")
def net():
    return create(CONFIG, 3)


@pytest.fixture
def path(tmp_path, net):
    save(tmp_path / "c.safetensors", net)
    return tmp_path / "c.safetensors"


def test_round_trip_gives_the_same_network(path, net):
    checkpoint = weights.load(path)
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32), np.uint8)
    assert checkpoint.geometry == GEOMETRY
    assert checkpoint.net.config == CONFIG
    jax.tree.map(np.testing.assert_array_equal, checkpoint.net(*images), net(*images))


def test_names_are_dotted_paths(net):
    assert "matcher.log_scale" in weights.tensors(nnx.state(net))


def test_missing_file(tmp_path):
    with pytest.raises(Misuse, match="no such checkpoint"):
        weights.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("size", [0, 3, 50, 4000, -1])
def test_truncated_file_is_reported(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(Fault, match=r"c\.safetensors: damaged"):
        weights.load(path)


def test_file_of_another_kind(path):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    with pytest.raises(Fault, match="damaged"):
        weights.load(path)


def test_file_without_metadata(path):
    save_file({"x": np.zeros(3, np.float32)}, path)
    with pytest.raises(Fault, match="format None"):
        weights.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 32},
        {"layers": 2},
        {"layers": 0},
        {"stride": 3},
        {"attention": "flash"},
        {"width": "16"},
        {"stage_channels": [4, "8"]},
        {"unknown": 1},
    ],
)
def test_config_of_another_network(path, net, change):
    fields = {**dataclasses.asdict(CONFIG), **change}
    save(path, net, model_config=json.dumps(fields))
    with pytest.raises(Fault, match="another network"):
        weights.load(path)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", "null", "[" * 100_000,
        '{"crop": 0, "size": 32, "grid": 8}', '{"crop": 72, "size": 32, "grid": -8}',
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_invalid_crop_geometry(path, net, text):
    save(path, net, pipeline=text)
    with pytest.raises(Fault, match="'pipeline' is of another network"):
        weights.load(path)


def test_curves_are_read(path, net):
    save(path, net, **weights.calibration_metadata(DEFAULT_CURVES))
    assert weights.load(path).curves == DEFAULT_CURVES


def test_curves_are_optional(path):
    assert weights.load(path).curves is None


VALID = {"score_offset": -6.6, "score_slope": 20.9, "match_offset": 1.5, "match_slope": 1.0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[1.0, 2.0, 3.0, 4.0]",
        json.dumps({k: v for k, v in VALID.items() if k != "match_slope"}),
        *(
            json.dumps(VALID | {name: value})
            for name in ("score_offset", "score_slope", "match_slope")
            for value in (math.nan, math.inf, 1e300, "1.0", None, True, [1.0])
        ),
        json.dumps(VALID | {"score_slope": -1.0}),
        json.dumps(VALID | {"match_slope": 0.0}),
        json.dumps(VALID | {"more": 0.0}),
        '{"score_offset": 1e999}',
    ],
)
def test_invalid_curves(path, net, text):
    save(path, net, calibration=text)
    with pytest.raises(Fault, match="'calibration'"):
        weights.load(path)


def test_crops_of_another_size(path, net):
    save(path, net, pipeline=json.dumps({"crop": 288, "size": 128, "grid": 32}))
    with pytest.raises(Fault, match="128 px, but its network takes 32"):
        weights.load(path)


def test_differing_tensors_are_reported(path, net):
    values = load_file(path)
    values["extra"] = np.zeros(2, np.float32)
    values["matcher.project.bias"] = np.zeros(7, np.float32)
    del values["matcher.log_scale"]
    save_file(values, path, weights.metadata(CONFIG, GEOMETRY))
    with pytest.raises(Fault) as fault:
        weights.load(path)
    assert "matcher.log_scale is missing" in str(fault.value)
    assert "extra is not of this network" in str(fault.value)
    assert "matcher.project.bias is [7], expected [16]" in str(fault.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.full((), np.nan, np.float32), "not finite"), (np.zeros(()), "float64, expected float32")],
)
def test_unusable_values_are_reported(path, value, message):
    values = {**load_file(path), "matcher.log_scale": value}
    save_file(values, path, weights.metadata(CONFIG, GEOMETRY))
    with pytest.raises(Fault, match=rf"matcher\.log_scale .*{message}"):
        weights.load(path)
