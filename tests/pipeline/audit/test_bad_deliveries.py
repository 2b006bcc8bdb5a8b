"""Commands on faulty deliveries: each fault is named, and no file is dropped silently."""

import json
import os
import zipfile

import cv2
import pytest
import trees
from click.testing import CliRunner
from prints import finger

from pipeline.__main__ import main

U = "images/baseline/U/500/roll/png"
A = "images/challengers/A/roll/png"


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def audit(*roots):
    return run("audit", *(part for root in roots for part in ("--data", root)))


def build(root, out, *more):
    return run("build", "--data", root, "--out", out, "--workers", 1, *more)


def assert_error(outcome, *parts, code=1):
    """Check that a command ended with an error that names all parts; return its text."""
    text = outcome.stdout + outcome.stderr
    assert outcome.exit_code == code, text
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit)
    assert "Traceback" not in text
    for part in parts:
        assert str(part) in text
    return text


@pytest.fixture
def delivery(tmp_path):
    """Eight fingers of a person recorded by device U, under SD302b's names."""
    folder = tmp_path / "data" / U
    folder.mkdir(parents=True)
    for code in range(1, 9):
        image = finger(code, 200, 190)
        cv2.imwrite(str(folder / f"00002303_U_500_roll_{code:02d}.png"), image)
    return tmp_path / "data"


def name(code):
    return f"{U}/00002303_U_500_roll_{code:02d}.png"


# --- files ------------------------------------------------------------------------------------

DAMAGE = {
    "is an empty file": lambda data: b"",
    "is truncated": lambda data: data[:-300],
    "is damaged": lambda data: data[:2000] + bytes([data[2000] ^ 1]) + data[2001:],
    "is a web page": lambda data: b"<html>404 Not Found</html>",
}


@pytest.fixture
def damaged(delivery):
    """Damage the first files of the delivery in different ways; return path → reason."""
    reasons = {}
    for code, (reason, damage) in enumerate(DAMAGE.items(), 1):
        path = delivery / name(code)
        path.write_bytes(damage(path.read_bytes()))
        reasons[path] = reason
    return reasons


def test_build_names_every_damaged_file_at_once(delivery, damaged, tmp_path):
    text = assert_error(build(delivery, tmp_path / "out", "--partition", "sd302/U"))
    for path, reason in damaged.items():
        assert f"{path}: {reason}" in text
    assert "--skip-bad" in text


def test_damaged_files_can_be_skipped(delivery, damaged, tmp_path):
    outcome = build(delivery, tmp_path / "out", "--partition", "sd302/U", "--skip-bad")
    assert outcome.exit_code == 0, outcome.stderr
    lines = (tmp_path / "out/quarantine.jsonl").read_text().splitlines()
    assert {json.loads(line)["path"] for line in lines} == set(map(str, damaged))
    assert "4 images left out" in outcome.stdout


def test_audit_names_damage_that_needs_no_decoding(delivery, damaged):
    text = assert_error(audit(delivery), "DAMAGED (3)", "NOT sound")
    for path, reason in damaged.items():
        assert (str(path) in text) == (reason != "is damaged")


def test_every_unreadable_file_is_named(delivery, tmp_path):
    """Links to nowhere, as an archive unpacked elsewhere leaves them."""
    lost = delivery / name(1)
    lost.unlink()
    lost.symlink_to(tmp_path / "nowhere")
    other = delivery / name(2)
    other.unlink()
    other.symlink_to(tmp_path / "nowhere else")
    assert_error(audit(delivery), "DAMAGED (2)", lost, other)
    assert_error(build(delivery, tmp_path / "out", "--partition", "sd302/U"), lost, other)
    outcome = build(delivery, tmp_path / "out", "--partition", "sd302/U", "--skip-bad")
    assert outcome.exit_code == 0, outcome.stderr
    lines = (tmp_path / "out/quarantine.jsonl").read_text().splitlines()
    assert {json.loads(line)["path"] for line in lines} == {str(lost), str(other)}


def test_empty_files_of_302a_have_no_resolution_and_are_named(tmp_path):
    root = trees.sd302(tmp_path / "data", [2303], "A")
    empty = root / A / "00002303_A_roll_03.png"
    empty.write_bytes(b"")
    assert_error(audit(root), "NOT UNDERSTOOD (1)", f"{empty}: is an empty file")
    assert_error(
        build(root, tmp_path / "out", "--partition", "sd302/A"), f"{empty}: is an empty file"
    )


# --- half-unpacked archives -------------------------------------------------------------------


def test_a_half_unpacked_archive_is_named_beside_what_is_missing(delivery, tmp_path):
    """U was unpacked, V was not, and the archive still exists."""
    archive = delivery / "sd302b.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("images/baseline/V/500/roll/png/00002303_V_500_roll_01.png", b"")
    outcome = build(delivery, tmp_path / "out", "--partition", "sd302/U,sd302/V,sd302/L")
    assert_error(
        outcome, "missing partitions: sd302/V, sd302/L;", archive, "not unpacked", "sd302/U"
    )
    text = audit(delivery).stdout
    assert str(archive) in text
    assert "not unpacked" in text
    report = json.loads(run("audit", "--data", delivery, "--json").stdout)
    assert report["archives"] == [str(archive)]


def test_audit_counts_the_files_of_a_delivery(delivery):
    text = audit(delivery).stdout
    assert "sd302b: 8 files of 13796" in text
    assert "Missing partitions of the config" in text
    row = next(line for line in text.splitlines() if line.startswith("sd302/U"))
    assert row.split()[:7] == ["sd302/U", "8", "-", "8", "-", "1", "200"]


def test_build_reports_an_incomplete_partition(delivery, tmp_path):
    outcome = build(delivery, tmp_path / "out", "--partition", "sd302/U", "--dry-run")
    assert outcome.exit_code == 0
    assert "sd302/U: 8 training images; the config takes up to 1,437" in outcome.stderr


def test_leftovers_of_an_interrupted_download_are_reported(delivery):
    for leftover in ("00002303_U_500_roll_09.png.part", "._00002303_U_500_roll_09.png"):
        (delivery / U / leftover).write_bytes(b"")
    text = audit(delivery).stdout
    assert "sd302/U: 1 × hidden file, 1 × not an image" in text


def test_listed_files_that_were_not_unpacked_are_named(delivery):
    folder = delivery / U
    trees.checksums(folder, folder / "checksum_U_500_roll_png.csv")
    (delivery / name(7)).unlink()
    outcome = run("audit", "--data", delivery, "--checksums")
    assert_error(outcome, "CHECKSUMS (1)", f"{delivery / name(7)}: is listed and not there")


def test_link_to_a_delivery_that_is_not_mounted_is_reported(delivery):
    link = delivery / "sd302a"
    link.symlink_to("/nowhere/sd302a")
    outcome = audit(delivery)
    assert outcome.exit_code == 0
    assert f"Links that lead nowhere (1):\n  {link}" in outcome.stdout
    report = json.loads(run("audit", "--data", delivery, "--json").stdout)
    assert report["dangling"] == [str(link)]


# --- one delivery for another -----------------------------------------------------------------


def test_302a_in_a_root_named_302b_is_read_as_302a(tmp_path):
    """The name of the root does not matter: U is missing, and the existing partitions are named."""
    root = trees.sd302(tmp_path / "sd302b", [2303], "AB")
    outcome = build(root, tmp_path / "out", "--partition", "sd302/U,sd302/V")
    assert_error(outcome, "missing partitions: sd302/U, sd302/V;", "found sd302/A, sd302/B", root)
    assert "sd302/A" in audit(root).stdout


def test_302a_in_the_folders_of_302b_is_named_file_by_file(tmp_path):
    root = trees.sd302(tmp_path / "data", [2303], "A", codes=[1, 2])
    wrong = tmp_path / "data/images/baseline/A/500/roll"
    wrong.parent.mkdir(parents=True)
    (root / "images/challengers/A/roll").rename(wrong)
    text = assert_error(audit(root), "NOT UNDERSTOOD (2)", "302b has no device A")
    assert str(wrong / "png/00002303_A_roll_01.png") in text
    assert_error(
        build(root, tmp_path / "out", "--partition", "sd302/A"), "missing partitions: sd302/A"
    )


# --- two copies -------------------------------------------------------------------------------


def test_two_copies_in_two_roots_are_both_named(delivery, tmp_path):
    copy = tmp_path / "again"
    trees.sd302(copy, [2303], "U", codes=range(1, 9))
    both = ("--data", copy, "--partition", "sd302/U")
    for outcome in (audit(delivery, copy), build(delivery, tmp_path / "out", *both)):
        assert_error(outcome, "in two places", delivery / U, copy / U, "8 images of the same names")


def test_a_copy_of_another_resolution_is_no_second_impression(delivery, tmp_path):
    fine = tmp_path / "1000"
    trees.sd302(fine, [2303], "U", (1000,), codes=range(1, 9))
    outcome = audit(delivery, fine)
    assert outcome.exit_code == 0
    assert "8 × same capture at another resolution" in outcome.stdout


# --- folders that cannot be read ----------------------------------------------------------------


@pytest.mark.parametrize("where", [["images"], [U, A]])
def test_every_unreadable_folder_is_named(delivery, tmp_path, monkeypatch, where):
    """os.scandir is patched because permissions do not bind a superuser."""
    (delivery / A).mkdir(parents=True)
    closed, scandir = [str(delivery / folder) for folder in where], os.scandir

    def refuse(path):
        if os.fspath(path) in closed:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    named = [f"{folder}: cannot be read (Permission denied)" for folder in closed]
    assert_error(audit(delivery), *named)
    assert_error(build(delivery, tmp_path / "out", "--partition", "sd302/U"), *named)
    assert not (tmp_path / "out").exists()
