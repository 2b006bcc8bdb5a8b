"""The commands build and show: options, output, exit codes."""

import json

import cv2
import pytest
from click.testing import CliRunner
from set_files import PARTITIONS, command, content

from pipeline.__main__ import main
from pipeline.synthesis.encode import encode


def invoke(*arguments):
    return CliRunner().invoke(main, ["build", *map(str, arguments)], catch_exceptions=False)


def test_dry_run_shows_the_plan_and_writes_nothing(images, tmp_path):
    out = tmp_path / "out"
    result = invoke(
        "--out", out, "--data", images, "--partition", ",".join(PARTITIONS), "--dry-run"
    )
    assert result.exit_code == 0 and not out.exists()
    *table, time = result.stdout.splitlines()
    head, last = table[0].split(), table[-1].split()
    columns = dict(zip(head[2:], last[1:], strict=True))
    bytes_ = columns.pop("MB")
    assert columns == {
        "shards": "6",
        "images": "30",
        "genuine": "90",
        "impostor": "30",
        "pairs": "120",
    }
    assert 120 * 2 * 128**2 < float(bytes_) * 1e6 < 2 * 120 * 50_000
    assert "about 0:00:01 on" in time


def test_command_builds_and_ends_with_a_table(images, tmp_path, complete_set):
    arguments = command(images, tmp_path)[4:]
    first, again = invoke(*arguments), invoke(*arguments)
    assert first.exit_code == again.exit_code == 0
    assert content(tmp_path) == complete_set
    shards = sum(name.endswith("arrayrecord") for name in complete_set)
    assert f"{shards} shards built, 0 there already" in first.output
    assert f"0 shards built, {shards} there already" in again.output


def test_light_ridges_are_built_as_stored_and_reported(images, tmp_path):
    """Once for all images, with an example; dark ridges are not mentioned."""
    folder = tmp_path / "data" / "DB1_B"
    folder.mkdir(parents=True)
    for path in (images / "DB1_B").glob("*.tif"):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(folder / path.name), image if path.name.startswith("103") else 255 - image)
    outputs = []
    for data in (tmp_path / "data", images):
        partition = "--partition", "fvc2002/db1_b", "--set", "pipeline.pairs_per_shard=20"
        out = tmp_path / f"out{len(outputs)}"
        outputs.append(invoke("--out", out, "--data", data, *partition).output)
    assert "18 images: ridges are light, and built as stored; " in outputs[0]
    assert f"such as {folder / '101_1.tif'}" in outputs[0]
    assert "ridges are light" not in outputs[1]


PLANNED = ["build", "--out", "none", "--dry-run", "--partition", ",".join(PARTITIONS)]


@pytest.mark.parametrize("command", [PLANNED, ["audit"]])
def test_option_dataset_root_of_the_paper_is_accepted(images, command):
    """--dataset_root of the script of the paper is --data, with a deprecation warning."""
    now, before, both = (
        CliRunner().invoke(main, [*command, *map(str, roots)])
        for roots in (
            ("--data", images),
            ("--dataset_root", images),
            ("--data", images / "DB1_B", "--dataset_root", images / "DB3_B"),
        )
    )
    assert before.stdout == now.stdout != "" and before.exit_code == now.exit_code
    assert both.stdout.splitlines()[1:] == now.stdout.splitlines()[1:]  # the first may name roots
    assert "'dataset_root' is deprecated" in before.stderr and "--data" in before.stderr
    assert "deprecated" not in now.stderr
    assert "dataset" not in CliRunner().invoke(main, [command[0], "--help"]).output


def test_unparsed_names_are_reported_or_skipped(data, tmp_path):
    image = (data / "DB1_B/101_1.tif").read_bytes()
    (data / "DB1_B/finger.tif").write_bytes(image)
    arguments = command(data, tmp_path)[4:]
    refused = invoke(*arguments)
    assert refused.exit_code == 1 and "finger.tif" in refused.output
    result = invoke(*arguments, "--skip-bad")
    assert result.exit_code == 0 and "1 image left out" in result.output
    (line,) = (tmp_path / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["path"].endswith("DB1_B/finger.tif")
    (data / "DB1_B/finger.tif").unlink()
    assert invoke(*arguments).exit_code == 0
    assert not (tmp_path / "quarantine.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--partition", "fvc2002/db1_c"], 2, "did you mean fvc2002/db1_"),
        (["--partition", "fvc2002/db4_a"], 1, "missing partitions: fvc2002/db4_a"),
        (["--partition", "fvc2002/db1_b", "--shards", "4/4"], 2, "expected i/N"),
        (["--partition", "fvc2002/db1_b", "--set", "pipeline.grid=33"], 2, "grid: 33"),
        (["--set", "pipeline.partitions=()"], 2, "names no partitions"),
        (["--config", "a" * 300], 2, "no such config file"),
        (["--out", "a" * 300, "--partition", "fvc2002/db1_b"], 1, "File name too long"),
        (["--out", "a" * 300], 1, "missing partitions"),
    ],
)
def test_misuse_is_reported(images, tmp_path, arguments, status, message):
    result = invoke("--out", tmp_path, "--data", images, *arguments)
    assert result.exit_code == status, result.output
    assert message in result.output
    assert not list(tmp_path.iterdir())


def test_show_uses_the_resolution_in_a_png_header(images, tmp_path):
    image = cv2.imread(str(images / "DB1_B" / "101_1.tif"), cv2.IMREAD_UNCHANGED)
    path, sheet = tmp_path / "101_1.png", tmp_path / "sheet.png"

    def run_show(ppi, *options):
        path.write_bytes(encode(image, ".png", ppi))
        result = CliRunner().invoke(main, ["show", str(path), "--out", str(sheet), *options])
        assert result.exit_code == 0, result.output
        return sheet.read_bytes()

    assert run_show(569) == run_show(None, "--ppi=569") == run_show(500, "--ppi=569")
    assert run_show(None) == run_show(72) == run_show(None, "--ppi=500") != run_show(569)
    shown = CliRunner().invoke(main, ["show", str(path), "--out", str(sheet)])
    assert f"{path}, 569 ppi (tag: pHYs, px per metre)" in shown.output
    nothing = CliRunner().invoke(main, ["show", str(path), "--out", str(sheet), "--ppi=0"])
    assert nothing.exit_code == 1 and "has a resolution of 0 ppi" in nothing.output


def test_show_reads_an_image_without_header(images, tmp_path):
    image = cv2.imread(str(images / "DB1_B" / "101_1.tif"), cv2.IMREAD_UNCHANGED)
    path = tmp_path / "101_1.raw"
    path.write_bytes(image.tobytes())
    options = ["show", str(path), "--out", str(tmp_path / "sheet.png")]
    refused = CliRunner().invoke(main, options)
    assert refused.exit_code == 1 and "101_1.raw: does not decode" in refused.output
    assert "--raw WIDTHxHEIGHT" in refused.output
    size = f"{image.shape[1]}x{image.shape[0]}"
    shown = CliRunner().invoke(main, [*options, "--raw", size])
    assert shown.exit_code == 0, shown.output
    assert "; no header, read as" in shown.output


def test_show_plots_every_stage(images, tmp_path):
    sheet = tmp_path / "sheets" / "101.png"
    image = images / "DB1_B" / "101_1.tif"
    result = CliRunner().invoke(main, ["show", str(image), "--out", str(sheet)])
    assert result.exit_code == 0, result.output
    assert cv2.imread(str(sheet)).shape[0] > 4 * 262
    image = tmp_path / "bad.tif"
    image.write_bytes(b"no image")
    result = CliRunner().invoke(main, ["show", str(image), "--out", str(sheet)])
    assert result.exit_code == 1 and "bad.tif: does not decode" in result.output


def test_show_does_not_replace_the_image(images, tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes((images / "DB1_B" / "101_1.tif").read_bytes())
    before = image.read_bytes()
    result = CliRunner().invoke(main, ["show", str(image), "--out", str(image)])
    assert result.exit_code == 2 and "a.png: is the image itself" in result.output
    assert image.read_bytes() == before
