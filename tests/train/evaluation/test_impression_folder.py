"""Folders of impressions: order, hidden files, duplicates."""

import pytest

from shards.foundation.errors import Misuse
from train.evaluation.impression_folder import find_impressions


def folder(root, fingers, count):
    for finger in fingers:
        for k in range(1, count + 1):
            (root / f"{finger}_{k}.png").touch()
    (root / "readme.txt").touch()
    return root


def test_first_impression_is_by_number_not_by_name(tmp_path):
    for k in (10, 2):
        (tmp_path / f"5_{k}.TIF").touch()
    assert [p.name for p in find_impressions(tmp_path)["5"]] == ["5_2.TIF", "5_10.TIF"]


def test_hidden_files_are_ignored(tmp_path):
    """As macOS leaves them beside every file on a disk of another system."""
    files = folder(tmp_path, [1], 2)
    (files / "._1_1.png").touch()
    assert [p.name for p in find_impressions(files)["1"]] == ["1_1.png", "1_2.png"]
    assert set(find_impressions(files)) == {"1"}


@pytest.mark.parametrize("copy", ["1_1.TIF", "1_01.png"])
def test_duplicate_impression_is_reported(tmp_path, copy):
    files = folder(tmp_path, [1, 2], 2)
    (files / copy).touch()
    with pytest.raises(Misuse, match="one impression") as fault:
        find_impressions(files)
    assert f"{copy} and" in str(fault.value) or f"and {copy}" in str(fault.value)
    assert "1_1.png" in str(fault.value)


def test_folder_without_impressions_is_reported(tmp_path):
    with pytest.raises(Misuse, match="no impressions"):
        find_impressions(tmp_path)
    with pytest.raises(Misuse, match="no such folder"):
        find_impressions(tmp_path / "none")
