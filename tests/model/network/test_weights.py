"""Checkpoints: read as written, and every kind of damage is reported."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from model.network import tensor_file, weights
from model.network.config import ModelConfig
from model.network.net import create
from model.registration.calibration import (
    DEFAULT_CURVES,
    Calibration,
    ExplainedMatchCurve,
    ScoreWeights,
    UncertaintyWeights,
)
from shards.foundation.errors import Fault, Misuse

CONFIG = ModelConfig(
    image_size=32, stem_channels=4, stage_channels=(4, 8), width=16, layers=1, heads=2, mlp=16
)
GEOMETRY = weights.CropGeometry(crop=72, size=32, grid=8)


CALIBRATION = Calibration(
    DEFAULT_CURVES,
    ScoreWeights(0.01, -3.0, 6.0, 4.0, 0.0, 0.1, 0.2, 0.0, 0.0, 9.0, 1.5, 0.0),
    UncertaintyWeights(0.5, 0.4, 0.7, 0.2, 0.0),
    ExplainedMatchCurve(3.0, 0.6),
)


def save(path, net, **changes):
    arrays = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(net)).items()}
    tensor_file.write(path, arrays, {**weights.metadata(net.config, GEOMETRY), **changes})
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


def test_the_folder_of_a_run_is_no_checkpoint(tmp_path):
    with pytest.raises(Misuse, match=r"is a folder; expected .* dense_reg_ckpt"):
        weights.load(tmp_path)


@pytest.mark.parametrize("size", [0, 3, 50, 4000, -1])
def test_truncated_file_is_reported(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(Fault, match=r"c\.safetensors: damaged"):
        weights.load(path)


def test_file_of_another_kind(path):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    with pytest.raises(Fault, match="damaged"):
        weights.load(path)


@pytest.mark.parametrize("metadata", ["null", "{}"])
def test_metadata_may_be_empty(path, metadata):
    header = b'{"__metadata__":%s}' % metadata.encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(Fault, match="format None"):
        weights.load(path)


def test_file_without_metadata(path):
    tensor_file.write(path, {"x": np.zeros(3, np.float32)}, {})
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
        {"rotations": 8, "stem_channels": 1, "stage_channels": [1, 1]},
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
    save(path, net, **weights.calibration_metadata(Calibration(DEFAULT_CURVES)))
    loaded = weights.load(path)
    assert loaded.curves == DEFAULT_CURVES
    assert loaded.calibration == Calibration(DEFAULT_CURVES)  # as files of earlier versions


def test_whole_calibration_is_read(path, net):
    save(path, net, **weights.calibration_metadata(CALIBRATION))
    assert weights.load(path).calibration == CALIBRATION


@pytest.mark.parametrize("key", ["score", "uncertainty", "explained_matches"])
@pytest.mark.parametrize("text", ["{}", "[1]", '{"floor": "0"}'])
def test_invalid_weights(path, net, key, text):
    save(path, net, **weights.calibration_metadata(CALIBRATION) | {key: text})
    with pytest.raises(Fault, match=f"'{key}'"):
        weights.load(path)


NO_WEIGHTS = dict.fromkeys([field.name for field in dataclasses.fields(ScoreWeights)][2:], 0.0)


@pytest.mark.parametrize(
    ("key", "change", "reason"),
    [
        ("score", {"floor": 1.0}, "expected a floor in"),
        ("score", {"floor": -0.1}, "expected a floor in"),
        ("score", {"correlation": -1.0}, "expected weights of at least 0, one of them above"),
        ("score", {"coverage": -1.0}, "expected weights of at least 0, one of them above"),
        ("score", NO_WEIGHTS, "expected weights of at least 0, one of them above"),
        ("score", {"support": math.nan}, "expected numbers of at most 1e\\+06"),
        ("score", {"floor": math.nan}, "expected numbers of at most 1e\\+06"),
        ("score", {"offset": math.inf}, "expected numbers of at most 1e\\+06"),
        ("score", {"offset": -1e7}, "expected numbers of at most 1e\\+06"),
        ("score", {"period": "1"}, "period is '1'"),
        ("score", {"period": True}, "period is True"),
        ("score", {"period": 1}, "period is 1"),  # the program writes floating-point numbers alone
        ("score", {"period": None}, "period is None"),
        ("uncertainty", {"opposition": -0.1}, "expected weights of at least 0"),
        ("uncertainty", {"isolation": math.nan}, "expected numbers of at most 1e\\+06"),
        ("uncertainty", {"offset": math.inf}, "expected numbers of at most 1e\\+06"),
        ("uncertainty", {"offset": "1"}, "offset is '1'"),
    ],
    ids=str,
)
def test_numbers_that_no_weights_have(path, net, key, change, reason):
    text = json.dumps(dataclasses.asdict(getattr(CALIBRATION, key)) | change)
    save(path, net, **weights.calibration_metadata(CALIBRATION) | {key: text})
    with pytest.raises(Fault, match=f"'{key}' is of another network: .*{reason}"):
        weights.load(path)


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
    tensor_file.write(path, values, weights.metadata(CONFIG, GEOMETRY))
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
    tensor_file.write(path, values, weights.metadata(CONFIG, GEOMETRY))
    with pytest.raises(Fault, match=rf"matcher\.log_scale .*{message}"):
        weights.load(path)


def test_every_flipped_bit_is_found(path):
    """In a parameter, a name, a text or the digest itself."""
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(data), 60).tolist():
        flipped = bytearray(data)
        flipped[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(Fault, match=r"c\.safetensors: (damaged|has no digest|not a check)"):
            weights.load(path)


def test_file_of_an_earlier_version_is_refused_with_the_way_to_convert_it(path, net):
    save_file(load_file(path), path, weights.metadata(CONFIG, GEOMETRY))
    with pytest.raises(Fault, match=r"has no digest.*python -m train export --checkpoint"):
        weights.load(path)
    assert weights.load(path, digest_required=False).net.config == CONFIG


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layers": 10**9}, "layers is 1000000000, expected at most 64"),
        ({"layers": 10**400}, "layers is 10+"),
        ({"width": 1 << 40, "heads": 1}, "width is 1099511627776, expected at most 4096"),
        ({"image_size": 1 << 30}, "image_size is 1073741824, expected at most 2048"),
        ({"blocks": 10**6}, "blocks is 1000000, expected at most 64"),
        ({"stage_channels": [8] * 10_000}, r"stage_channels is \(8, 8, 8"),
        ({"stage_channels": [[4, 8]]}, r"stage_channels is \(\[4, 8\],\)"),
        ({"stage_channels": []}, r"stage_channels is \(\), expected 1 or more each"),
        ({"mlp": 10**12}, "mlp is 1000000000000, expected at most 16384"),
        ({"contrast_window": 1e308}, r"contrast_window is 1e\+308, expected 0 to image_size 32"),
        ({"heads": True}, "heads is True"),
        ({"attention": "x" * 100_000}, "attention is 'xxx"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_absurd_settings_are_refused_before_anything_is_built(
    path, net, change, reason, monkeypatch
):
    monkeypatch.setattr(weights, "outline", lambda config: pytest.fail(f"{config} is built"))
    values = load_file(path)
    fields = {**dataclasses.asdict(CONFIG), **change}
    texts = weights.metadata(CONFIG, GEOMETRY) | {"model_config": json.dumps(fields)}
    tensor_file.write(path, values, texts)
    expected = rf"c\.safetensors: its metadata 'model_config' is of another network: {reason}"
    with pytest.raises(Fault, match=expected) as fault:
        weights.load(path)
    assert len(str(fault.value)) < 1000


def test_settings_that_do_not_fit_each_other(path, net, monkeypatch):
    def fail(config):
        raise ZeroDivisionError("a layer")

    monkeypatch.setattr(weights, "outline", fail)
    with pytest.raises(Fault, match="states a network that cannot be built: a layer"):
        weights.load(path)


def test_same_content_gives_the_same_bytes(path):
    arrays, texts = tensor_file.read(path)
    assert tensor_file.pack(dict(reversed(arrays.items())), texts) == path.read_bytes()
