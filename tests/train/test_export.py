"""Exported parameters: read by numpy and builtins alone, the same network again."""

import json
import pickle
import struct
from pathlib import Path

import jax
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from safetensors import safe_open
from safetensors.numpy import load_file
from training import MODEL

from model.network import weights
from model.network.config import ModelConfig
from model.network.features import FeatureNetwork
from model.network.net import create
from model.registration.calibration import DEFAULT_CURVES, Calibration
from shards.foundation.errors import Fault, Misuse
from train import checkpoint, export, state
from train.__main__ import main

VIEW = weights.CropGeometry(crop=72, size=32, grid=8)


@pytest.fixture(scope="module")
def net():
    return create(MODEL, 3)


@pytest.fixture(scope="module")
def run(net, tmp_path_factory):
    """A run's folder with a latest checkpoint of `net`."""
    folder = tmp_path_factory.mktemp("run")
    saved = state.State(nnx.state(net), {}, jax.numpy.int32(4))
    facts = weights.metadata(MODEL, VIEW)
    checkpoint.save_latest(folder, saved, {"step": 4, "export": facts})
    return folder


def command(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("source", ["", "latest"])
def test_checkpoint_to_safetensors_is_the_same_network(run, net, tmp_path, source):
    out = tmp_path / "new" / "weights.safetensors"
    done = command("export", "--checkpoint", run / source, "--out", out)
    assert done.exit_code == 0, done.output
    exported = weights.load(out)
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32), np.uint8)
    jax.tree.map(np.testing.assert_array_equal, exported.net(*images), net(*images))
    assert exported.geometry == VIEW
    tensors = weights.tensors(nnx.state(net))
    plain = load_file(out)
    assert plain.keys() == tensors.keys()
    assert all(np.array_equal(plain[name], tensors[name]) for name in plain)
    assert "matcher.project.kernel" in plain
    assert [path.name for path in out.parent.iterdir()] == ["weights.safetensors"]


def test_rebuilt_from_the_file_alone(run, net, tmp_path):
    """safetensors and numpy read all that the network is: its config, its parameters."""
    out = tmp_path / "weights.safetensors"
    assert command("export", "--checkpoint", run, "--out", out).exit_code == 0
    with safe_open(out, "numpy") as file:
        arrays, facts = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    assert json.loads(facts["pipeline"])["crop"] == VIEW.crop  # the preprocessing
    fields = json.loads(facts["model_config"])
    config = ModelConfig(**{k: tuple(v) if type(v) is list else v for k, v in fields.items()})
    assert config == MODEL
    graph, empty = nnx.split(nnx.eval_shape(lambda: create(config, 0)))

    def fill(path, _):
        name = jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")
        return arrays.pop(name)

    rebuilt = nnx.merge(graph, jax.tree_util.tree_map_with_path(fill, empty))
    assert not arrays  # nothing is left over
    images = np.random.default_rng(1).integers(0, 256, (2, 1, 32, 32), np.uint8)
    jax.tree.map(np.testing.assert_array_equal, rebuilt(*images), net(*images))


def test_same_parameters_same_bytes(net, tmp_path):
    """The library writes its header's metadata in an order that changes from call to call."""
    facts = {name: name for name in "zyxwvutsrqponmlkjihgfedcba"}
    arrays = {name: np.asarray(a) for name, a in weights.tensors(nnx.state(net)).items()}
    export.save(tmp_path / "a.safetensors", arrays, facts)
    written = (tmp_path / "a.safetensors").read_bytes()
    for turn in range(3):
        again = dict(sorted(arrays.items(), reverse=bool(turn % 2)))
        export.save(tmp_path / "b.safetensors", again, dict(reversed(facts.items())))
        assert (tmp_path / "b.safetensors").read_bytes() == written


def leaves(tree):
    """Arrays by dotted name of nested dicts; every container is a plain dict with text keys."""
    assert type(tree) is dict and all(type(key) is str for key in tree)
    found = {}
    for key, value in tree.items():
        inner = leaves(value) if isinstance(value, dict) else {"": value}
        found.update({f"{key}.{name}".rstrip("."): array for name, array in inner.items()})
    return found


def test_pickle_as_the_published_script_reads_it(run, net, tmp_path):
    """Its `load_checkpoint` returns ["state"] and ["metadata"]; parameters are nested by module."""
    middle, out = tmp_path / "w.safetensors", tmp_path / "dense_reg_ckpt.pkl"
    assert command("export", "--checkpoint", run, "--out", middle).exit_code == 0
    assert command("export", "--checkpoint", middle, "--out", out).exit_code == 0
    exported = pickle.loads(out.read_bytes())  # noqa: S301 (written by the line above)
    assert type(exported) is dict and exported.keys() == {"state", "metadata"}
    assert exported["state"].keys() == {"params"}
    assert exported["metadata"].keys() == {"format", "model_config", "pipeline"}
    assert exported["metadata"]["model_config"]["width"] == 16
    assert exported["metadata"]["pipeline"]["crop"] == 72
    params = exported["state"]["params"]
    assert {"backbone", "transformer"} <= params.keys()
    tensors, arrays = weights.tensors(nnx.state(net)), leaves(params)
    assert arrays.keys() == tensors.keys()
    assert all(type(array) is np.ndarray for array in arrays.values())
    assert all(np.array_equal(arrays[name], tensors[name]) for name in tensors)
    network = FeatureNetwork(middle)
    own = {part: params[part] for part in network.params}
    jax.tree.map(np.testing.assert_array_equal, own, network.params)  # the same structure


class NumpyAndBuiltins(pickle.Unpickler):
    """Refuses whatever a program without JAX does not have."""

    def find_class(self, module, name):
        assert module.split(".")[0] in ("numpy", "builtins", "_codecs"), (module, name)
        return super().find_class(module, name)


def test_pickle_needs_numpy_alone(run, tmp_path):
    out = tmp_path / "w.pkl"
    assert command("export", "--checkpoint", run, "--out", out).exit_code == 0
    with out.open("rb") as file:
        assert NumpyAndBuiltins(file).load().keys() == {"state", "metadata"}


def test_curves_go_along(run, tmp_path):
    a, b, out = (tmp_path / name for name in ("a.safetensors", "b.safetensors", "w.pkl"))
    assert command("export", "--checkpoint", run, "--out", a).exit_code == 0
    export.add_metadata(a, weights.calibration_metadata(Calibration(DEFAULT_CURVES)))
    assert command("export", "--checkpoint", a, "--out", b).exit_code == 0
    assert weights.load(b).curves == DEFAULT_CURVES and b.read_bytes() == a.read_bytes()
    assert command("export", "--checkpoint", a, "--out", out).exit_code == 0
    exported = pickle.loads(out.read_bytes())  # noqa: S301 (written by the line above)
    assert exported["metadata"]["calibration"]["score_slope"] == DEFAULT_CURVES.score_slope


def test_facts_are_added_whole_or_not_at_all(run, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    assert command("export", "--checkpoint", run, "--out", path).exit_code == 0
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Fault, match=r"a\.safetensors: cannot be written: .*No space left"):
        export.add_metadata(path, weights.calibration_metadata(Calibration(DEFAULT_CURVES)))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_wrong_names(run, tmp_path):
    other = command("export", "--checkpoint", run, "--out", tmp_path / "w.npz")
    assert other.exit_code == 2 and "must end in .safetensors or .pkl" in other.output
    missing = command("export", "--checkpoint", tmp_path / "none", "--out", tmp_path / "w.pkl")
    assert missing.exit_code == 2 and "no checkpoint here" in missing.output


def test_unwritable(run, tmp_path):
    (tmp_path / "file").write_text("")
    arrays, facts = export.load(run)
    with pytest.raises(Fault, match="cannot be written"):
        export.save(tmp_path / "file" / "w.safetensors", arrays, facts)


def test_a_pickle_is_never_read(tmp_path):
    bomb = tmp_path / "w.pkl"
    bomb.write_bytes(pickle.dumps({"params": {}}))
    with pytest.raises(Fault, match=r"damaged, or no \.safetensors checkpoint"):
        export.load(bomb)
    bomb.write_bytes(struct.pack("<Q", 2) + b"{}")
    with pytest.raises((Fault, Misuse)):
        export.load(bomb)
