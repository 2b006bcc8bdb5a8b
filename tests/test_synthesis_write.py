"""Sets on disk: names, sidecars, what a rerun keeps, what it refuses."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.sources import fvc2002
from pipeline.synthesis import write
from pipeline.synthesis.generate import make_impression, make_master
from pipeline.synthesis.write import choose_layout, synthesise
from pipeline.warp import Warp
from shards.errors import Misuse


class Here:
    """Stands in for the pool of processes: the work is done at once, in this one."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        future = Future()
        future.set_result(function(*arguments))
        return future


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(write, "ProcessPoolExecutor", Here)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A set of two fingers by two real processes."""
    out = tmp_path_factory.mktemp("made")
    report = synthesise(out, fingers=2, impressions=2, seed=9, workers=2, name="test")
    assert (report.made, report.kept) == (4, 0)
    return out / "synthetic" / "test"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_names(made):
    stems = ["00000_0", "00000_1", "00001_0", "00001_1"]
    expected = {f"{stem}{suffix}" for stem in stems for suffix in (".png", ".json")} | {"set.json"}
    assert set(contents(made)) == expected
    identity = {"fingers": 2, "impressions": 2, "seed": 9, "version": write.VERSION}
    assert json.loads((made / "set.json").read_text()) == identity


def test_sidecar_is_the_warp_of_the_image(made):
    master = make_master(9, "synthetic/test", 1)
    expected = make_impression(master, 9, "synthetic/test", 1, 0)
    found = json.loads((made / "00001_0.json").read_text())
    warp = Warp.from_json(found["warp"])
    assert np.array_equal(warp.matrix, expected.warp.matrix)
    assert np.array_equal(warp.control, expected.warp.control)
    assert (found["ppi"], found["class"]) == (500, expected.label)
    assert found["params"]["dryness"] == expected.params["dryness"]
    image = cv2.imread(str(made / "00001_0.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(image, expected.image)


def test_number_of_processes_changes_no_byte(made, here, tmp_path):
    synthesise(tmp_path, fingers=2, impressions=2, seed=9, name="test")
    assert contents(tmp_path / "synthetic" / "test") == contents(made)


def test_rerun_makes_what_is_missing_and_keeps_the_rest(here, tmp_path):
    synthesise(tmp_path, fingers=2, impressions=2, seed=1)
    folder = tmp_path / "synthetic" / "seed1"
    before = contents(folder)
    kept = (folder / "00000_0.png").stat().st_mtime_ns
    (folder / "00000_1.json").unlink()
    (folder / "00001_0.png").unlink()
    report = synthesise(tmp_path, fingers=2, impressions=2, seed=1)
    assert (report.made, report.kept) == (2, 2)
    assert contents(folder) == before
    assert (folder / "00000_0.png").stat().st_mtime_ns == kept
    assert synthesise(tmp_path, fingers=2, impressions=2, seed=1).made == 0


def test_interrupted_run_leaves_no_half_image(here, tmp_path, monkeypatch):
    """The process ends between the sidecar and its image: the image is absent, not half."""
    monkeypatch.setattr(write, "_encode", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        synthesise(tmp_path, fingers=1, impressions=2, seed=1)
    monkeypatch.undo()
    monkeypatch.setattr(write, "ProcessPoolExecutor", Here)
    assert synthesise(tmp_path, fingers=1, impressions=2, seed=1).made == 2


@pytest.mark.parametrize("other", [{"seed": 2}, {"fingers": 3}, {"impressions": 3}])
def test_refuses_another_set_of_the_same_name(here, tmp_path, other):
    asked = {"fingers": 1, "impressions": 1, "seed": 1, "name": "test"}
    synthesise(tmp_path, **asked)
    with pytest.raises(Misuse, match="test: holds another set"):
        synthesise(tmp_path, **{**asked, **other})


def test_refuses_what_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match=r"file.*cannot be made"):
        synthesise(tmp_path / "file", fingers=1, impressions=1, seed=1)
    with pytest.raises(Misuse, match="--name a/b"):
        choose_layout("synthetic", "a/b", 1, 1)
    with pytest.raises(Misuse, match="at most 100 fingers and 8 impressions"):
        choose_layout("fvc2002", "", 10, 9)
    broken = tmp_path / "synthetic" / "seed1" / "set.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    with pytest.raises(Misuse, match=r"set\.json: cannot be read"):
        synthesise(tmp_path, fingers=1, impressions=1, seed=1)


def test_fvc2002_layout_is_read_as_fvc2002(here, tmp_path):
    synthesise(tmp_path, fingers=2, impressions=2, seed=1, layout="fvc2002")
    listing = fvc2002.find(tmp_path)
    assert [i.image_id for i in listing.impressions] == [
        f"fvc2002/db1_b/{stem}" for stem in ("101_1", "101_2", "102_1", "102_2")
    ]
    path = listing.impressions[0].path
    assert path.name == "101_1.tif" and not list(path.parent.glob("1*.json"))
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == (374, 388)
    assert path.stat().st_size == pytest.approx(145_624, abs=600)  # as the real ones, uncompressed
    assert choose_layout("fvc2002", "", 11, 1).folder == "fvc2002/DB1_A"


def test_command_says_what_it_made_and_reused(here, tmp_path):
    arguments = ["synth", "--out", tmp_path, "--fingers", 1, "--impressions", 1, "--seed", 3]
    first, second = (CliRunner().invoke(main, list(map(str, arguments))) for _ in range(2))
    assert first.exit_code == 0 and "1 impressions made" in first.output
    assert second.exit_code == 0 and "0 impressions made, 1 were there already" in second.output
    other = CliRunner().invoke(main, [*map(str, arguments[:-1]), "4", "--name", "seed3"])
    assert other.exit_code == 2 and "holds another set" in other.output
