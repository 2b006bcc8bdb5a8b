"""Anyone's own images through all commands, as docs/OWN_DATA.md describes."""

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import trees
from click.testing import CliRunner
from image_files import encode
from prints import finger

import pipeline.__main__
import shards.__main__
import train.__main__
from pipeline.building import stated_layout
from pipeline.sources.pattern import compile_pattern
from shards.record import decode
from shards.store import open_set

PAGE = Path(__file__).parents[2] / "docs/OWN_DATA.md"
MAINS = {"pipeline": pipeline.__main__, "shards": shards.__main__, "train": train.__main__}
PATTERN = "{person}/{finger}_{impression}"
PERSONS = 20  # p01 to p20: two in test and two in validation, so that impostor pairs exist


def run(*arguments, package="pipeline"):
    return CliRunner().invoke(MAINS[package].main, [str(a) for a in arguments])


def succeed(*arguments, package="pipeline"):
    result = run(*arguments, package=package)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def prints(tmp_path_factory):
    """A folder "prints" of 20 persons with one impression, and a list of them."""
    root = tmp_path_factory.mktemp("own")
    rows = ["path,person,finger,impression"]
    for number in range(1, PERSONS + 1):
        folder = root / f"prints/p{number:02d}"
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "left_index_1.png"), finger([7, number, 1], 220, 200))
        rows.append(f"p{number:02d}/left_index_1.png,p{number:02d},left_index,1")
    (root / "prints/list.csv").write_text("\n".join(rows))
    return root


def commands_of_the_page():
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(".venv/bin/python -m ")]


def test_commands_of_the_page(prints, monkeypatch):
    """All in order; of training and evaluation the options alone."""
    monkeypatch.chdir(prints)
    commands = commands_of_the_page()
    assert len(commands) >= 8
    for _, _, package, name, *options in commands:
        if package == "train":  # trained by tests/test_end_to_end.py
            options += ["--help"]
        output = succeed(name, *options, package=package)
        if "--dry-run" in options:
            assert "20 impressions of 20 fingers, 20 persons" in output
            assert "person p01, finger left_index, impression 1, 500 ppi (--ppi)" in output
    assert (prints / "data/lab/sheet.png").exists()
    assert not (prints / "data/listed").exists()


def test_patterns_of_the_page_fit_their_names():
    rows = re.findall(r"^\| `([^`]+\.\w+)`.* \| `([^`]+)` \|$", PAGE.read_text(), re.M)
    assert len(rows) >= 4
    for name, pattern in rows:
        fields = compile_pattern(pattern).parse(name)
        assert isinstance(fields, dict) and len(fields) > 1, (name, pattern, fields)


def build(prints, out, *more):
    options = ("--layout", PATTERN, "--name", "lab", "--ppi", 500, "--workers", 1)
    return run("build", "--out", out, "--data", prints / "prints", *options, *more)


def test_partition_is_built_again_to_the_same_bytes(prints, tmp_path):
    assert build(prints, tmp_path / "out").exit_code == 0
    files = {p: p.read_bytes() for p in (tmp_path / "out").glob("*/*.arrayrecord")}
    assert {p.name for p in files} == {"folder-lab-00000-of-00001.arrayrecord"}
    assert len(files) == 3
    damaged = next(iter(files))
    damaged.write_bytes(files[damaged][:-9])
    assert run("verify", tmp_path / "out", package="shards").exit_code == 1
    result = build(prints, tmp_path / "out", "--partition", "folder/lab")
    assert "1 shard built, 2 there already" in result.stdout
    assert {p: p.read_bytes() for p in files} == files
    succeed("verify", tmp_path / "out", "--deep", package="shards")
    damaged.unlink()
    options = ("--out", tmp_path / "out", "--partition", "folder/lab", "--workers", 1)
    again = run("build", "--data", prints / "prints", *options)
    assert "1 shard built, 2 there already" in again.stdout
    assert f"folder/lab: pattern {PATTERN}, --ppi 500, as before" in again.stderr
    assert {p: p.read_bytes() for p in files} == files
    pair = decode(open_set(tmp_path / "out").read("test", [0])[0])
    assert pair.finger_a.startswith("folder/lab/p")
    assert pair.image_id_a.endswith("%2Fleft_index_1")


def test_unlabelled_images_form_copies_alone_which_train(prints, tmp_path):
    out = tmp_path / "set"
    options = ("--layout", "unlabelled", "--name", "lab", "--ppi", 500)
    succeed("build", "--data", prints / "prints", "--out", out, *options)
    opened = open_set(out)
    assert opened.count("train") == 3 * PERSONS and opened.count("val") == 0
    pairs = [decode(data) for data in opened.read("train", range(3 * PERSONS))]
    assert {pair.kind for pair in pairs} == {"genuine"}
    assert all(pair.image_id_a == pair.image_id_b for pair in pairs)
    assert len({pair.image_id_a for pair in pairs}) == PERSONS
    succeed("verify", out, "--deep", package="shards")


def test_list_gives_the_same_images_and_its_splits(prints, tmp_path):
    root = tmp_path / "lists"
    shutil.copytree(prints / "prints", root)
    rows = (root / "list.csv").read_text().splitlines()
    splits = ["split", *(["test"] * 4 + ["val"] * 4 + ["train"] * 12)]
    (root / "list.csv").write_text("\n".join(map(",".join, zip(rows, splits, strict=True))))
    out = tmp_path / "out"
    succeed("build", "--out", out, "--list", root / "list.csv", "--name", "lab", "--ppi", 500)
    counts = json.loads((out / "manifest.json").read_text())["partitions"]["folder/lab"]["counts"]
    assert {split: of["genuine"] for split, of in counts.items()} == {
        "test": 12,
        "val": 12,
        "train": 36,
    }
    first = json.loads((out / "sources/folder-lab.jsonl").read_text().splitlines()[0])
    assert first[0] == "folder/lab/p01%2Fleft_index_1"


def test_audit_counts_and_exits_with_1_on_a_fault(prints, tmp_path):
    root = tmp_path / "prints"
    shutil.copytree(prints / "prints", root)
    options = ("--data", root, "--layout", PATTERN, "--name", "lab", "--ppi", 500)
    report = json.loads(
        CliRunner().invoke(pipeline.__main__.main, ["audit", *map(str, options), "--json"]).stdout
    )
    assert report["sound"] and report["missing"] == []
    counts = report["partitions"]["folder/lab"]
    assert (counts["images"], counts["persons"], counts["fingers"]) == (20, 20, 20)
    assert counts["persons_by_split"] == {"train": 16, "val": 2, "test": 2}
    trees.png(root / "p01/thumb.png")
    result = run("audit", *options)
    assert result.exit_code == 1
    assert "thumb.png: does not fit the pattern {person}/{finger}_{impression}" in result.output


def test_files_that_are_not_understood_are_refused_or_left_out(prints, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(prints, root)
    trees.png(root / "prints/p01/thumb.png")
    result = build(root, tmp_path / "out", "--dry-run")
    assert result.exit_code == 1
    assert "20 impressions of 20 fingers" in result.stdout
    assert "thumb.png" not in result.stdout  # the error names it
    assert "thumb.png" in result.stderr and "--skip-bad" in result.stderr
    result = build(root, tmp_path / "out", "--dry-run", "--skip-bad")
    assert "not understood (1)" in result.stdout and "thumb.png" in result.stdout
    assert not (tmp_path / "out").exists()
    assert build(root, tmp_path / "out", "--skip-bad").exit_code == 0
    (line,) = (tmp_path / "out/quarantine.jsonl").read_text().splitlines()
    assert "thumb.png" in line


@pytest.mark.parametrize("name", [os.fsdecode(b"\xff\xfe"), "a\x1b[31m\nb", "\u202ename", "ü %2F"])
def test_hostile_names_are_printable_and_can_be_built(tmp_path, name):
    for number in (1, 2):
        path = tmp_path / f"prints/{name}_{number}_1.png"
        path.parent.mkdir(exist_ok=True)
        try:
            path.write_bytes(encode(finger([number], 200, 190), "PNG"))
        except OSError:
            pytest.skip("this file system refuses the name")
    (tmp_path / f"prints/{name}.png").write_bytes(b"")  # its name does not fit
    (tmp_path / f"prints/{name}_3_1.png").write_bytes(b"")  # does not decode
    options = ("--data", tmp_path / "prints", "--layout", "{finger}_{impression}", "--name", "x")
    dry = run("build", "--out", tmp_path / "o", *options, "--ppi", 500, "--dry-run")
    (tmp_path / f"prints/{name}.png").unlink()
    refused = run("build", "--out", tmp_path / "o", *options, "--ppi", 500)
    for text in (dry.stdout, dry.stderr, refused.stdout, refused.stderr):
        assert "Traceback" not in text and "\x1b" not in text and "\u202e" not in text
    assert (dry.exit_code, refused.exit_code) == (1, 1)
    assert "is an empty file" in refused.stderr
    result = run("build", "--out", tmp_path / "o", *options, "--ppi", 500, "--skip-bad")
    assert result.exit_code == 0, result.output
    succeed("verify", tmp_path / "o", "--deep", package="shards")
    for line in (tmp_path / "o/sources/folder-x.jsonl").read_text().splitlines():
        assert json.loads(line)[0].isascii()


def test_every_format_gives_the_same_pairs(tmp_path):
    """Files without loss of one print: the records hold the same images."""
    image = finger([1], 200, 190)
    root = tmp_path / "prints"
    root.mkdir()
    for kind, extension in (("PNG", "png"), ("TIFF", "tif"), ("BMP", "bmp"), ("PPM", "pgm")):
        (root / f"{extension}_1.{extension}").write_bytes(encode(image, kind))
    (root / "jp2_1.jp2").write_bytes(encode(image, "JPEG2000", irreversible=False))
    (root / "raw_1.raw").write_bytes(image.tobytes())
    options = ("--layout", "{finger}_{impression}", "--name", "x", "--ppi", 500, "--raw", "190x200")
    out = tmp_path / "out"
    succeed("build", "--out", out, "--data", root, *options)
    shard_set, images = open_set(out), []
    for split in ("train", "val", "test"):
        for data in shard_set.read(split, range(shard_set.count(split))):
            pair = decode(data)
            images.append((pair.finger_a, pair.image_a))
    assert len({name for name, _ in images}) == 6
    assert all(np.array_equal(image, images[0][1]) for _, image in images)


def test_own_partition_without_its_layout_is_misuse(prints, tmp_path):
    result = run("build", "--out", tmp_path, "--data", prints, "--partition", "folder/lab")
    assert result.exit_code == 2
    assert "folder/lab: needs --layout PATTERN or --list FILE" in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"layout": "fingers", "list": null, "ppi": null, "raw": null}',
        '{"layout": 7, "list": null, "ppi": null, "raw": null}',
        '{"layout": "{finger}", "list": "x.csv", "ppi": null, "raw": null}',
        '{"layout": "{finger}", "list": null, "ppi": "500", "raw": null}',
        '{"layout": "{finger}", "list": null, "ppi": null, "raw": "5"}',
    ],
)
def test_damaged_statement_counts_as_none(tmp_path, text):
    path = tmp_path / ".build/layouts/folder-lab.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert stated_layout.read(tmp_path, "folder/lab") is None
    path.write_text('{"layout": "{finger}", "list": null, "ppi": 500, "raw": "90x80"}')
    kept = stated_layout.read(tmp_path, "folder/lab")
    assert (kept.pattern.text, kept.ppi, kept.raw_size) == ("{finger}", 500, (90, 80))
    assert stated_layout.read(tmp_path, "folder/../lab") is None


def test_list_and_data_exclude_each_other(prints, tmp_path):
    options = ("--list", prints / "prints/list.csv", "--name", "lab", "--data", prints)
    result = run("build", "--out", tmp_path, *options)
    assert result.exit_code == 2
    assert "relative to the list" in result.stderr
