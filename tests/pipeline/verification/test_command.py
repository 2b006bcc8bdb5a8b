"""The command that verifies a set against its plan and its images; what it says of the reasons."""

import dataclasses
import hashlib
import shutil

import cv2
import lies
import numpy as np
import pytest
from click.testing import CliRunner

import pipeline.__main__
from pipeline.spec import PipelineSpec
from pipeline.verification.sample import count_records, sample_records
from pipeline.verification.set_spec import read_spec
from shards import manifest, provenance, store
from shards.__main__ import main
from shards.foundation.errors import Fault, Misuse


def run(*arguments):
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


def replace_list(directory, data):
    """Write the list of the files' images anew, with the sha256 that the manifest states."""
    old, name = store.load_manifest(directory), "fvc2002/db1_b"
    (directory / provenance.file_name(name)).write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    part = dataclasses.replace(old.partitions[name], source_hash=sha256)
    store.write_manifest(directory, dataclasses.replace(old, partitions={name: part}))


def resign(directory, **changes):
    """Write the manifest with other members of the spec."""
    old = store.load_manifest(directory)
    spec = {key: value for key, value in (old.spec | changes).items() if value is not None}
    store.write_manifest(directory, dataclasses.replace(old, spec=spec))


@pytest.fixture
def copy(fingers_in_files, tmp_path):
    return shutil.copytree(fingers_in_files, tmp_path / "copy")


def test_a_set_is_built_again_from_its_images(fingers_in_files, file_root):
    assert run(fingers_in_files, "--deep").exit_code == 0
    assert run(fingers_in_files, "--data", file_root, "--sample", "10%").exit_code == 0


def test_synthesized_fingers_need_no_data_root(generated_fingers, tmp_path):
    assert run(generated_fingers, "--sample", "5").exit_code == 0
    lies.tell(generated_fingers, tmp_path / "set", lies.inverted_set)
    result = run(tmp_path / "set", "--sample", "2")
    assert result.exit_code == 1
    assert "differs from the record built again: image_a at" in result.stdout
    assert "2 records differ from those built again" in result.stdout


def test_missing_and_changed_images_are_named(fingers_in_files, file_root, tmp_path):
    root = shutil.copytree(file_root, tmp_path / "root")
    path = root / "DB1_B" / "101_1.tif"
    cv2.imwrite(str(path), np.flipud(cv2.imread(str(path), 0)))
    result = run(fingers_in_files, "--data", root)
    assert result.exit_code == 1
    assert "shows 'fvc2002/db1_b/101_1', whose source" in result.stdout
    path.unlink()
    result = run(fingers_in_files, "--data", root)
    assert result.exit_code == 1
    assert "1 of its images are not below the data roots: fvc2002/db1_b/101_1" in result.stdout


def test_without_the_data_set_a_fault_says_what_is_missing(fingers_in_files, tmp_path):
    result = run(fingers_in_files, "--data", tmp_path)
    assert result.exit_code == 1
    assert "fvc2002/db1_b: cannot be planned: no data set" in result.stdout.lower()


def test_own_images_need_the_layout_of_their_build(file_root, tmp_path):
    own = ["--data", str(file_root / "DB1_B"), "--layout", "{finger}_{impression}"]
    own += ["--name", "lab", "--ppi", "500"]
    command = ["build", "--out", str(tmp_path), *own, "--workers", "1", "--set", "pipeline.size=64"]
    result = CliRunner().invoke(pipeline.__main__.main, [*command, "--set", "pipeline.grid=16"])
    assert result.exit_code == 0, result.output
    result = run(tmp_path, "--deep")
    assert result.exit_code == 0
    assert "folder/lab: its fingers are not in the names of its images" in result.stderr
    assert run(tmp_path, *own).exit_code == 0
    assert run(tmp_path, *own[:2]).exit_code == 0  # as stated for the build
    shutil.rmtree(tmp_path / ".build")
    result = run(tmp_path, *own[:2])
    assert result.exit_code == 1 and "needs --layout PATTERN or --list FILE" in result.stdout


def test_another_method_or_spec_cannot_be_planned(copy):
    resign(copy, method=1)
    result = run(copy, "--deep")
    assert result.exit_code == 1 and "was built by method 1" in result.stdout
    resign(copy, method=store.load_manifest(copy).spec["method"], seed=None)
    assert "was built by method 1" in run(copy, "--deep").stdout


@pytest.mark.parametrize(
    "change", [{"seed": None}, {"grid": 0}, {"size": "64"}, {"extra": 1}, {"rotation_range": [1]}]
)
def test_a_spec_that_no_build_writes_is_a_fault(copy, change):
    assert isinstance(read_spec(store.load_manifest(copy).spec), PipelineSpec)
    resign(copy, **change)
    with pytest.raises(Fault, match="spec that no build writes"):
        read_spec(store.load_manifest(copy).spec)
    result = run(copy, "--deep")
    assert result.exit_code == 1
    assert "manifest.json: has a spec that no build writes: " in result.stdout


@pytest.mark.parametrize(
    ("libraries", "reason"),
    [
        ({}, "the manifest does not say with which libraries they were built"),
        ({"numpy": "0.1"}, "they were built with numpy 0.1, here "),
        ({"numpy": np.__version__}, "they were built with the same libraries; "),
    ],
)
def test_versions_that_differ_are_named(fingers_in_files, file_root, tmp_path, libraries, reason):
    built = store.load_manifest(fingers_in_files).partitions["fvc2002/db1_b"]
    assert built.libraries["numpy"] == np.__version__
    changed = lies.tell(fingers_in_files, tmp_path, lies.turned_b)
    told = store.load_manifest(tmp_path)
    partition = dataclasses.replace(told.partitions["fvc2002/db1_b"], libraries=libraries)
    told = dataclasses.replace(told, partitions={"fvc2002/db1_b": partition})
    store.write_manifest(tmp_path, told)
    result = run(tmp_path, "--data", file_root, "--sample", "all")
    assert result.exit_code == 1
    expected = f"{len(changed)} records differ from those built again: {reason}"
    assert f"fvc2002/db1_b: {expected}" in result.stdout


def test_an_image_list_with_unknown_names_cannot_be_planned(copy):
    old = store.load_manifest(copy)
    images = provenance.read(
        copy,
        "fvc2002/db1_b",
        old.partitions["fvc2002/db1_b"].source_hash,
        old.partitions["fvc2002/db1_b"].images,
    )
    images["fvc2002/db1_b/x"] = "0" * 64
    store.write_sources(copy, {"fvc2002/db1_b": images})
    new = manifest.assemble(old.spec, {"fvc2002/db1_b": images}, old.shards)
    store.write_manifest(copy, new)
    assert "is not the name of an image of fvc2002/db1_b" in run(copy, "--deep").stdout


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"\0", "on line 1"),
        (b'[5,"x"]', "on line 1; expected [image id, sha256]"),
        (b'["x","y","z"]', "on line 1"),
        (b'{"x":"y"}', "on line 1"),
        (b"[" * 9_000, "on line 1"),
        (b'["x","%s"]' % (b"0" * provenance.MAX_LINE_BYTES), "on line 1"),
        (b'["x","y"]', "lists 'x' again on line 2"),
    ],
    ids=["no JSON", "number", "three", "object", "nested", "long", "twice"],
)
def test_a_list_of_images_that_lists_none_is_a_fault(copy, file_root, line, message):
    """Whether or not its records are read."""
    replace_list(copy, 20 * (line + b"\n"))
    for options in (("--deep",), ("--data", file_root)):
        result = run(copy, *options)
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
        assert result.stdout.count("sources/fvc2002-db1_b.jsonl: ") == 1
        assert message in result.stdout


@pytest.mark.parametrize(
    ("text", "count"), [("all", 150), ("1%", 2), ("100%", 150), ("0.1%", 1), ("7", 7), ("999", 150)]
)
def test_size_of_a_sample(text, count):
    assert count_records(text, 150) == count
    entries = [
        manifest.ShardEntry(
            f"train/a-b-{k:05d}-of-00003.arrayrecord", "a/b", "train", 1, "0" * 64, 50, {}
        )
        for k in range(3)
    ]
    sample = sample_records(entries, text)
    assert sum(map(len, sample.values())) == count == count_records(text, 150)
    assert all(0 <= number < 50 for numbers in sample.values() for number in numbers)
    assert sample == sample_records(entries, text)


@pytest.mark.parametrize("text", ["", "1/2", "-1", "101%", "%", "some"])
def test_a_sample_of_another_form_is_refused(text):
    with pytest.raises(Misuse, match="expected all, a share such as 1%, or a number"):
        count_records(text, 10)
