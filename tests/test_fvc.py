"""The FVC protocol: which comparisons, and what becomes of their scores."""

import csv
import json
from types import SimpleNamespace

import pytest

from shards.errors import Fault, Misuse
from train import fvc


class Registrar:
    """Stands in for the network: scores by the names; 9_1.png is no finger."""

    def open_file(self, path, ppi):
        if path.name == "9_1.png":
            raise Fault(f"{path}: no foreground")
        return path

    def register_prints(self, a, b):
        return SimpleNamespace(score=0.9 if a.name[0] == b.name[0] else 0.1)


def folder(root, fingers, count=3):
    for finger in fingers:
        for k in range(1, count + 1):
            (root / f"{finger}_{k}.png").touch()
    (root / "readme.txt").touch()
    return root


def test_comparisons_of_the_protocol(tmp_path):
    """100 fingers × 8 impressions: 2,800 genuine and 4,950 impostor comparisons."""
    found = fvc.comparisons(fvc.impressions(folder(tmp_path, range(1, 101), 8)))
    assert sum(genuine for _, _, genuine in found) == 2800
    impostors = [(a, b) for a, b, genuine in found if not genuine]
    assert len(set(impostors)) == 4950
    assert {path.stem.split("_")[1] for pair in impostors for path in pair} == {"1"}


def test_first_impression_is_by_number_not_by_name(tmp_path):
    for k in (10, 2):
        (tmp_path / f"5_{k}.TIF").touch()
    assert [p.name for p in fvc.impressions(tmp_path)["5"]] == ["5_2.TIF", "5_10.TIF"]


def test_scores_and_figures_are_written(tmp_path):
    found = fvc.run(folder(tmp_path, [1, 2, 3]), Registrar())
    fvc.write(found, tmp_path / "out")
    figures = json.loads((tmp_path / "out" / "fvc.json").read_text())
    assert figures == {"genuine": 9, "impostor": 3, "failed": 0, "eer": 0.0, "auc": 1.0}
    with (tmp_path / "out" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert rows[0] == {"a": "1_1.png", "b": "1_2.png", "genuine": "1", "score": "0.9"}


def test_what_cannot_be_opened_is_named_and_the_rest_is_done(tmp_path):
    found = fvc.run(folder(tmp_path, [1, 9], 2), Registrar())
    assert len(found.scores) == 1
    assert len(found.faults) == 2
    assert "9_1.png" in found.faults[0]
    assert found.figures()["eer"] is None
    fvc.write(fvc.Scores([], [], found.faults), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "fvc.json").read_text())["failed"] == 2


def test_folder_without_impressions(tmp_path):
    with pytest.raises(Misuse, match="no impressions"):
        fvc.impressions(tmp_path)
    with pytest.raises(Misuse, match="no such folder"):
        fvc.impressions(tmp_path / "none")


def test_answer_folder_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(Misuse, match="no folder can be made"):
        fvc.write(fvc.Scores([], [], []), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
