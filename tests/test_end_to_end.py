"""All commands of `make demo`, in order, with a config so small that they take seconds."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import model.__main__
import pipeline.__main__
import shards.__main__
import train.__main__

CONFIG = """
from configs import Config
from model.network.config import ModelConfig
from pipeline.spec import PipelineSpec
from train.config import TrainConfig

CONFIG = Config(
    pipeline=PipelineSpec(
        partitions=("synthetic/tiny",), different_impressions=1, translation=8.0, elastic=2.0
    ),
    model=ModelConfig(
        stride=8, stem_stride=4, stem_channels=4, stage_channels=(4, 8), blocks=1,
        width=16, layers=1, heads=2, mlp=16, attention="linear",
    ),
    train=TrainConfig(epochs=1, batch_size=16, checkpoint_every=1),
)
"""
FINGERS = 20  # one in ten is in the test split, one in validation: two each, so impostors too
IMPRESSIONS = 2


def call(package_main, *arguments):
    """Run a command of a package in this process; return its output."""
    result = CliRunner().invoke(
        package_main.main, [str(a) for a in arguments], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder in which all commands have run once."""
    root = tmp_path_factory.mktemp("demo")
    (root / "config.py").write_text(CONFIG)
    run_all(root)
    return root


def write_list(folder):
    """List the first impressions of nine fingers as somebody's own images."""
    splits = ("test", "val", "train")
    rows = [f"{number:05d}_0.png,{number},1,{splits[number % 3]}" for number in range(9)]
    (folder / "own.csv").write_text("\n".join(["path,finger,impression,split", *rows]))


def run_all(root):
    """Run the commands of `make demo`; return the output of each by name."""
    images, out, run = root / "images", root / "shards", root / "run"
    checkpoint, config = run / "dense_reg_ckpt.safetensors", root / "config.py"
    pair = [images / f"synthetic/tiny/00007_{k}.png" for k in range(IMPRESSIONS)]
    outputs = {}
    outputs["synth"] = call(
        pipeline.__main__, "synth", "--out", images, "--name", "tiny", "--seed", 1,
        "--fingers", FINGERS, "--impressions", IMPRESSIONS, "--workers", 1,
    )  # fmt: skip
    outputs["build"] = call(
        pipeline.__main__, "build", "--config", config, "--data", images, "--out", out,
        "--workers", 1,
    )  # fmt: skip
    write_list(images / "synthetic/tiny")
    call(
        pipeline.__main__, "build", "--config", config, "--out", out, "--workers", 1,
        "--list", images / "synthetic/tiny/own.csv", "--name", "own",
    )  # fmt: skip
    outputs["verify"] = call(shards.__main__, "verify", out, "--deep")
    outputs["train"] = call(
        train.__main__, "run", "--config", config, "--shards", out, "--checkpoint_dir", run
    )
    outputs["register"] = call(
        model.__main__, "register", *pair, "--checkpoint", checkpoint,
        "--out", root / "map.npz", "--picture", root / "map.png",
    )  # fmt: skip
    outputs["report"] = call(
        train.__main__, "report", "--shards", out, "--run", run,
        "--picture", root / "map.png", "--out", root / "report.html",
    )  # fmt: skip
    return outputs


def test_shards(demo):
    manifest = json.loads((demo / "shards/manifest.json").read_text())
    counts = manifest["partitions"]["synthetic/tiny"]["counts"]
    images = FINGERS * IMPRESSIONS
    by_kind = {k: sum(s.get(k, 0) for s in counts.values()) for k in counts["train"]}
    assert by_kind["genuine"] == 3 * images
    assert by_kind["genuine-impressions"] == images
    genuine = by_kind["genuine"] + by_kind["genuine-impressions"]
    assert by_kind["impostor"] == pytest.approx(genuine / 3, abs=3)


def test_own_images_are_a_partition_like_others(demo):
    manifest = json.loads((demo / "shards/manifest.json").read_text())
    assert list(manifest["partitions"]) == ["folder/own", "synthetic/tiny"]
    own = manifest["partitions"]["folder/own"]["counts"]
    assert {counts["genuine"] for counts in own.values()} == {9} and len(own) == 3
    shards = [path.name for path in (demo / "shards").glob("*/folder-own-*.arrayrecord")]
    assert len(shards) == 3


def test_training_left_what_a_matcher_needs(demo):
    run = demo / "run"
    lines = [json.loads(line) for line in (run / "logs/metrics.jsonl").read_text().splitlines()]
    manifest = json.loads((demo / "shards/manifest.json").read_text())
    pairs = sum(s["records"] for s in manifest["shards"] if s["name"].startswith("train/"))
    assert lines[-1]["step"] == pairs // 16
    assert all(np.isfinite(line["loss"]) for line in lines)
    for name in ("latest", "dense_reg_epoch_1", "logs/train.log", "logs/metrics.json"):
        assert (run / name).exists(), name


def test_registration(demo):
    with np.load(demo / "map.npz") as registration:
        assert registration["map_ab"].dtype == np.float32 and registration["map_ab"].shape[2] == 2
        assert 0 <= registration["score"] <= 1
        assert registration["matches"].shape[1] == 5
    assert (demo / "map.png").stat().st_size > 10_000


def test_report_is_one_file(demo):
    page = (demo / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 3
    assert "SIFT" in page
    assert 'src="http' not in page and 'href="http' not in page


def test_again_reuses_everything(demo):
    stamps = {
        path: path.stat().st_mtime_ns
        for path in demo.rglob("*")
        if path.is_file() and path.suffix in (".png", ".arrayrecord", ".safetensors")
        and path.parent != demo
    }  # fmt: skip
    outputs = run_all(demo)
    assert f"{FINGERS * IMPRESSIONS}" in outputs["synth"]
    assert "0 shards built" in outputs["build"]
    assert "already trained" in outputs["train"]
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
