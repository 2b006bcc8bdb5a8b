"""Sets on disk: names, sidecars, reruns and refused calls."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.imaging.resolution import stated_ppi
from pipeline.imaging.warp import Warp
from pipeline.synthesis import write
from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from pipeline.synthesis.write import write_set
from shards.foundation import pool
from shards.foundation.errors import Misuse


@pytest.fixture
def one_process(monkeypatch):
    monkeypatch.setattr(pool, "cores", lambda: 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set of two fingers, written by two processes."""
    out = tmp_path_factory.mktemp("set")
    report = write_set(out, fingers=2, impressions=2, seed=9, workers=2, name="test")
    assert (report.written, report.reused) == (4, 0)
    return out / "synthetic" / "test"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_names(folder):
    stems = ["00000_0", "00000_1", "00001_0", "00001_1"]
    expected = {f"{stem}{suffix}" for stem in stems for suffix in (".png", ".json")} | {"set.json"}
    assert set(contents(folder)) == expected
    identity = {"fingers": 2, "impressions": 2, "seed": 9, "version": write.VERSION}
    assert json.loads((folder / "set.json").read_text()) == identity


def test_sidecar_has_the_warp_of_the_image(folder):
    master = synthesize_master(9, "synthetic/test", 1)
    expected = synthesize_impression(master, 9, "synthetic/test", 1, 0)
    sidecar = json.loads((folder / "00001_0.json").read_text())
    warp = Warp.from_json(sidecar["warp"])
    assert np.array_equal(warp.matrix, expected.warp.matrix)
    assert np.array_equal(warp.control, expected.warp.control)
    assert (sidecar["ppi"], sidecar["class"]) == (expected.ppi, expected.label)
    assert sidecar["params"]["dryness"] == expected.params["dryness"]
    image = cv2.imread(str(folder / "00001_0.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(image, expected.image)


def test_each_image_has_its_own_resolution(folder):
    """In its header, as in its sidecar."""
    resolutions = {path.stem: stated_ppi(path) for path in folder.glob("*.png")}
    for stem, ppi in resolutions.items():
        assert ppi == json.loads((folder / f"{stem}.json").read_text())["ppi"]
    assert len(set(resolutions.values())) > 1


def test_number_of_processes_changes_no_byte(folder, one_process, tmp_path):
    write_set(tmp_path, fingers=2, impressions=2, seed=9, name="test")
    assert contents(tmp_path / "synthetic" / "test") == contents(folder)


def test_rerun_writes_missing_images_only(one_process, tmp_path):
    write_set(tmp_path, fingers=2, impressions=2, seed=1)
    folder = tmp_path / "synthetic" / "seed1"
    before = contents(folder)
    time_before = (folder / "00000_0.png").stat().st_mtime_ns
    (folder / "00000_1.json").unlink()
    (folder / "00001_0.png").unlink()
    report = write_set(tmp_path, fingers=2, impressions=2, seed=1)
    assert (report.written, report.reused) == (2, 2)
    assert contents(folder) == before
    assert (folder / "00000_0.png").stat().st_mtime_ns == time_before
    assert write_set(tmp_path, fingers=2, impressions=2, seed=1).written == 0


def test_interrupted_run_leaves_no_half_image(one_process, tmp_path, monkeypatch):
    """An error between the sidecar and its image: the image is absent."""
    monkeypatch.setattr(write.encode, "encode", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_set(tmp_path, fingers=1, impressions=2, seed=1)
    monkeypatch.undo()
    monkeypatch.setattr(pool, "cores", lambda: 1)
    assert write_set(tmp_path, fingers=1, impressions=2, seed=1).written == 2


@pytest.mark.parametrize("other", [{"seed": 2}, {"fingers": 3}, {"impressions": 3}])
def test_refuses_another_set_of_the_same_name(one_process, tmp_path, other):
    options = {"fingers": 1, "impressions": 1, "seed": 1, "name": "test"}
    write_set(tmp_path, **options)
    with pytest.raises(Misuse, match="test: holds another set"):
        write_set(tmp_path, **{**options, **other})


def test_refuses_impossible_calls(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match=r"file.*cannot be created"):
        write_set(tmp_path / "file", fingers=1, impressions=1, seed=1)
    with pytest.raises(Misuse, match="--name a/b"):
        write_set(tmp_path, fingers=1, impressions=1, seed=1, name="a/b")
    with pytest.raises(Misuse, match="--name x: names a set of --layout synthetic"):
        write_set(tmp_path, fingers=1, impressions=1, seed=1, name="x", layout="fvc2002")
    broken = tmp_path / "synthetic" / "seed1" / "set.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    with pytest.raises(Misuse, match=r"set\.json: cannot be read"):
        write_set(tmp_path, fingers=1, impressions=1, seed=1)


def test_command_prints_the_numbers_of_images(one_process, tmp_path):
    arguments = ["synth", "--out", tmp_path, "--fingers", 1, "--impressions", 1, "--seed", 3]
    first = CliRunner().invoke(main, list(map(str, arguments)))
    second = CliRunner().invoke(main, list(map(str, arguments)))
    assert first.exit_code == 0 and "1 image made" in first.output
    assert second.exit_code == 0 and "0 images made, 1 there already" in second.output
    other = CliRunner().invoke(main, [*map(str, arguments[:-1]), "4", "--name", "seed3"])
    assert other.exit_code == 2 and "holds another set" in other.output
