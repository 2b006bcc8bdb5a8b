"""Config files, overrides, messages about wrong ones; spelling of options and exit codes."""

import math
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import configs
from shards.foundation.cli import CommandGroup
from shards.foundation.errors import Fault, Misuse


def test_paper_holds_the_published_settings():
    """IFViT (arXiv 2404.08237): input, batch, optimiser, network, rotation, selection of data."""
    config = configs.load()
    pipeline, model, train = config.pipeline, config.model, config.train
    assert (pipeline.size, train.batch_size, train.epochs) == (128, 128, 100)
    assert (train.learning_rate, train.weight_decay) == (1e-3, 2e-4)
    assert (model.stage_channels, model.blocks) == ((64, 128, 256, 512), 2)  # ResNet-18
    assert (model.layers, model.width, model.heads, model.mlp) == (4, 256, 8, 1024)
    assert pipeline.size // model.stride >= 28
    assert pipeline.rotation_range == (-math.pi / 3, math.pi / 3)
    assert (pipeline.translation, pipeline.elastic) == (0, 0)
    sd302 = [p[-1] for p in pipeline.partitions if p.startswith("sd302/")]
    assert "".join(sd302) == "ABCDEFUVLM"


def test_override_keeps_types():
    config = configs.load(
        overrides=("train.steps=7", "train.learning_rate=1", "pipeline.partitions=a/x,b/y")
    )
    assert config.train.steps == 7
    assert config.train.learning_rate == 1.0 and type(config.train.learning_rate) is float
    assert config.pipeline.partitions == ("a/x", "b/y")
    assert configs.load(overrides=("train.steps=7", "train.steps=null")).train.steps is None


def test_override_of_tuples():
    """Of several types, of whole numbers where px or rad are meant, of one item, of lists."""
    config = configs.load(
        overrides=(
            "pipeline.limits=(('sd300',10),['sd302',7])",
            "pipeline.rotation_range=-1,1",
            "pipeline.partitions=a/x",
            "model.stage_channels=[64,128,256]",
        )
    )
    assert config.pipeline.limits == (("sd300", 10), ("sd302", 7))
    assert config.pipeline.rotation_range == (-1.0, 1.0)
    assert {type(angle) for angle in config.pipeline.rotation_range} == {float}
    assert config.pipeline.partitions == ("a/x",)
    assert config.model.stage_channels == (64, 128, 256)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.stesp=7", "did you mean train.steps?"),
        ("steps=7", "did you mean train.steps?"),
        ("train.steps", "expected key=value"),
        ("train.steps=many", "found 'many'"),
        ("train.batch_size=1.5", "expected int"),
        ("pipeline.rotation_range=0.5,", "expected tuple[float, float], found '0.5,'"),
        ("pipeline.rotation_range=0,0,1", "expected tuple[float, float]"),
        ("pipeline.limits=(('sd300',),)", "expected tuple[tuple[str, int], ...]"),
        ("pipeline.limits=((10,'sd300'),)", "expected tuple[tuple[str, int], ...]"),
        ("train.learning_rate=1e999", "learning_rate inf is not finite"),
        (f"train.weight_decay=1{'0' * 400}", "expected float"),
    ],
)
def test_wrong_override(override, message):
    with pytest.raises(Misuse, match=r".") as fault:
        configs.load(overrides=(override,))
    assert message in str(fault.value) and override.split("=")[0] in str(fault.value)


def test_a_config_that_ships_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo = configs.load(configs.PAPER.with_name("demo.py"))
    assert configs.load(Path("demo")) == demo != configs.load()
    (tmp_path / "demo").write_text("CONFIG = 1")  # a file of this name comes first
    with pytest.raises(Misuse):
        configs.load(Path("demo"))


def test_wrong_files(tmp_path):
    with pytest.raises(Misuse, match=r"those that ship are adapt, demo, .*paper"):
        configs.load(tmp_path / "none.py")
    (tmp_path / "broken.py").write_text("CONFIG = 1 +")
    with pytest.raises(Misuse, match="SyntaxError"):
        configs.load(tmp_path / "broken.py")
    (tmp_path / "other.py").write_text("CONFIG = 1")
    with pytest.raises(Misuse, match="defines no CONFIG"):
        configs.load(tmp_path / "other.py")


@click.group(cls=CommandGroup)
def door() -> None:
    """A door to try."""


@door.command()
@click.option("--some-thing", required=True)
def command(some_thing: str) -> None:
    """Fail in the way that is asked for."""
    raise {"fault": Fault, "misuse": Misuse}[some_thing]("it broke; mend it")


@pytest.mark.parametrize("spelling", ["--some-thing", "--some_thing"])
@pytest.mark.parametrize(("way", "code"), [("fault", 1), ("misuse", 2)])
def test_door(spelling, way, code):
    result = CliRunner().invoke(door, ["command", spelling, way])
    assert result.exit_code == code
    assert result.stderr == "error: it broke; mend it\n"


def test_door_wrong_use():
    assert CliRunner().invoke(door, ["command", "--sone-thing", "x"]).exit_code == 2
