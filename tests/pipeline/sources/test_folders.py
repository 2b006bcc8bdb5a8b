"""Walk over folders: links, copies, unreadable and system folders."""

import os

import pytest
import trees
from trees import count_reasons, list_files

from pipeline.sources import fvc, sd302
from pipeline.sources.listing import (
    FORMAT,
    HIDDEN,
    NOT_IMAGE,
)
from shards.foundation.errors import Fault, Misuse


def test_each_file_once_whatever_its_extension(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", [1], ".tif")
    trees.fvc2002(tmp_path, "DB1_A", [1], ".PNG")
    listing = list_files(fvc, tmp_path)
    assert [i.path.suffix for i in listing.impressions] == [".tif"] * 8
    assert count_reasons(listing.excluded) == {FORMAT: 8}


def test_other_files_are_listed(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", [1])
    (tmp_path / "DB1_A" / "README.txt").write_text("hello")
    (tmp_path / "DB1_A" / "._1_1.tif").write_text("of a Mac")
    assert count_reasons(list_files(fvc, tmp_path).excluded) == {NOT_IMAGE: 1, HIDDEN: 1}


def test_links_are_followed_and_loops_end(tmp_path):
    trees.fvc2002(tmp_path / "elsewhere", "sets/DB1_A", [1])
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere" / "sets")
    (root / "again").symlink_to(tmp_path / "elsewhere" / "sets")
    (root / "loop").symlink_to(root)
    (root / "itself").symlink_to(root / "itself")
    assert len(list_files(fvc, root).impressions) == 8


def test_link_may_have_the_name_of_the_folder(tmp_path):
    trees.fvc2002(tmp_path / "elsewhere", "images", [1])
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "DB1_A").symlink_to(tmp_path / "elsewhere" / "images")
    assert len(list_files(fvc, tmp_path / "root").impressions) == 8


def test_root_inside_a_data_set(tmp_path):
    trees.sd302(tmp_path, [2303], "U")
    assert len(list_files(sd302, tmp_path / "images/baseline/U/500").impressions) == 10
    trees.fvc2002(tmp_path, "DB1_A", [1])
    assert len(list_files(fvc, tmp_path / "DB1_A").impressions) == 8


def test_two_copies_are_a_fault_that_names_both(tmp_path):
    trees.fvc2002(tmp_path / "a")
    trees.fvc2002(tmp_path / "b")
    with pytest.raises(Fault) as fault:
        list_files(fvc, tmp_path)
    assert str(tmp_path / "a/DB1_A") in str(fault.value)
    assert str(tmp_path / "b/DB1_A") in str(fault.value)
    assert "24 images" in str(fault.value)


def test_roots_that_are_not_folders(tmp_path):
    with pytest.raises(Misuse, match="no such folder"):
        list_files(fvc, tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match="is not a folder"):
        list_files(fvc, tmp_path / "file")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(Misuse, match="no such folder"):
        list_files(fvc, tmp_path / "link")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(Misuse, match=r"loop: cannot be read \("):
        list_files(fvc, tmp_path / "loop")


@pytest.mark.parametrize("folder", ["lost+found", "$RECYCLE.BIN", "@eaDir", ".Trash", "__MACOSX"])
def test_system_folders_are_ignored(tmp_path, monkeypatch, folder):
    """lost+found is not readable, and thumbnails are not images of the data set."""
    trees.fvc2002(tmp_path, "DB1_A", [1])
    trees.fvc2002(tmp_path / folder, "DB1_A", [1])
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path) == str(tmp_path / folder):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert len(list_files(fvc, tmp_path).impressions) == 8


def test_unreadable_folder_is_named(tmp_path):
    closed = tmp_path / "DB1_A"
    closed.mkdir(mode=0)
    if os.access(closed, os.R_OK):
        pytest.skip("permissions do not bind this user")
    with pytest.raises(Fault, match="DB1_A: cannot be read"):
        list_files(fvc, tmp_path)
