"""Audit: counts of files, and every file with a problem is named."""

import errno
import json
import os
from pathlib import Path

import pytest
import trees
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.audit.audit import audit, incomplete_partitions
from pipeline.audit.checksums import verify_checksums
from pipeline.audit.text import format_audit
from pipeline.catalog import discover
from pipeline.sources.listing import RESOLUTION, SLAP
from pipeline.spec import PipelineSpec
from pipeline.split import split_of
from shards.foundation import files
from shards.foundation.errors import Fault


def test_counts(tmp_path):
    trees.sd302(tmp_path, range(2310, 2318), "UR", (500, 1000))
    result = audit(discover([tmp_path]), ["sd302/U", "sd302/V"])
    u, r = result.partitions["sd302/U"], result.partitions["sd302/R"]
    assert (u.images, u.persons, u.fingers, u.files) == (80, 8, 80, 160)
    assert u.excluded == {RESOLUTION: 80}
    assert r.excluded == {RESOLUTION: 80, SLAP: 48}
    assert u.by_capture == {"roll": {f"{code:02d}": 8 for code in range(1, 11)}}
    assert u.by_ppi == {"500": 80}
    assert u.expected_persons == 200
    assert sum(u.persons_by_split.values()) == 8
    assert sum(u.images_by_split.values()) == 80
    assert result.deliveries == {"sd302b": {"files": 160 + 208, "expected_files": 13796}}
    assert result.missing == ["sd302/V"]
    assert result.sound


def test_thumbs_count_as_thumbs(tmp_path):
    result = audit(discover([trees.sd300(tmp_path, [1000])]))
    counts = result.partitions["sd300/plain"].by_capture["plain"]
    assert counts == {f"{code:02d}": 1 for code in range(1, 11)}


def test_partition_of_excluded_files_only(tmp_path):
    trees.sd301a(tmp_path, [2223], "H")
    counts = audit(discover([tmp_path])).partitions["sd301a/H"]
    assert (counts.images, counts.files) == (0, 5)


def test_damaged_unparsed_and_equal_files_are_named(tmp_path):
    trees.sd302(tmp_path, [2303], "U")
    folder = tmp_path / "images/baseline/U/500/roll/png"
    data = (folder / "00002303_U_500_roll_01.png").read_bytes()
    (folder / "00002303_U_500_roll_02.png").write_bytes(b"")
    (folder / "00002303_U_500_roll_03.png").write_bytes(data[:-5])
    (folder / "00002303_U_500_roll_04.png").write_bytes(data)
    (folder / "00002303_U_500_roll_05.png").unlink()
    (folder / "00002303_U_500_roll_05.png").symlink_to(tmp_path / "nowhere")
    (folder / "00002303_U_500_roll_17.png").write_bytes(data)
    result = audit(discover([tmp_path]))
    assert not result.sound
    assert [line.rpartition("/")[2][:26] for line in result.damaged] == [
        f"00002303_U_500_roll_{k}.png" for k in ("02", "03", "05")
    ]
    assert [note.rpartition("/")[2][:26] for note in result.unparsed] == [
        "00002303_U_500_roll_17.png"
    ]
    (group,) = result.duplicates
    assert [path[-6:-4] for path in group] == ["01", "04"]
    text = format_audit(result)
    for section in ("DAMAGED (3)", "NOT UNDERSTOOD (1)", "Files of equal content (1)", "NOT sound"):
        assert section in text


def test_a_file_that_is_unreadable_after_its_end_was_read_is_damaged(tmp_path, monkeypatch):
    trees.sd302(tmp_path, [2303], "U")
    folder = tmp_path / "images/baseline/U/500/roll/png"
    first, second, third = (folder / f"00002303_U_500_roll_0{k}.png" for k in (1, 2, 3))
    for path in (second, third):
        path.write_bytes(first.read_bytes())
    sha256 = files.sha256

    def refuse(path):
        if path == second:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return sha256(path)

    monkeypatch.setattr(files, "sha256", refuse)
    result = audit(discover([tmp_path]))
    assert result.damaged == [f"{second}: cannot be read (Input/output error)"]
    assert result.duplicates == [[str(first), str(third)]]


def test_bytes_after_the_end_of_a_png_are_not_damage(tmp_path):
    """The pipeline reads such a file, so the audit must not report it as truncated."""
    folder = trees.sd302(tmp_path, [2303], "U") / "images/baseline/U/500/roll/png"
    path = folder / "00002303_U_500_roll_01.png"
    path.write_bytes(path.read_bytes() + b"\n")
    assert audit(discover([tmp_path])).damaged == []


def test_errata_are_listed(tmp_path):
    trees.sd302(tmp_path, [2302, 2354], "LC")
    result = audit(discover([tmp_path]))
    assert [line[line.rindex("/") + 1 :] for line in result.errata] == [
        "00002302_L_500_plain_01.png: thumbs swapped",
        "00002302_L_500_plain_06.png: thumbs swapped",
        "00002354_C_roll_04.png: fingers 04 and 05 doubtful",
        "00002354_C_roll_05.png: fingers 04 and 05 doubtful",
    ]
    assert result.partitions["sd302/L"].errata == 2
    assert result.partitions["sd302/C"].images == 18


def test_fvc_files_of_another_size_are_reported(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", [1])
    (tmp_path / "DB1_A/1_1.tif").write_bytes(bytes(145_624))
    result = audit(discover([tmp_path]))
    assert result.odd_sizes == {"fvc2002/db1_a": 7}
    assert "another year" in format_audit(result)
    *_, line = incomplete_partitions(discover([tmp_path]).partitions, PipelineSpec())
    assert line.startswith("fvc2002/db1_a: 7 files not of FVC2002's size")


def test_unknown_folders_are_reported(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", [1])
    trees.png(tmp_path / "mine/one.png")
    assert audit(discover([tmp_path])).unknown_folders == {str(tmp_path / "mine"): 1}


def test_missing_data_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="make demo"):
        audit(discover([tmp_path]))


# Warnings of a build about an incomplete delivery


def test_incomplete_partitions_are_reported(tmp_path):
    trees.fvc2002(tmp_path, "DB1_A", range(1, 101), ".png", (388, 374))
    trees.fvc2002(tmp_path, "DB2_A", range(1, 100), ".png", (296, 560))
    trees.sd302(tmp_path, range(2310, 2330), "AU")
    selection = discover([tmp_path]).partitions
    spec = PipelineSpec(held_out=("sd302",), limits=(("sd302", 170),))
    training = sum(split_of(i, spec.held_out) == "train" for i in selection["sd302/A"])
    assert training < 170
    assert list(incomplete_partitions(selection, spec)) == [
        "fvc2002/db2_a: 792 images; a complete delivery has 800",
        *(f"sd302/{d}: {training} training images; the config takes up to 170" for d in "AU"),
    ]
    enough = PipelineSpec(limits=(("sd302", training),), held_out=("sd302",))
    assert len(list(incomplete_partitions(selection, enough))) == 1


# Checksums


@pytest.mark.parametrize("digest", ["sha256", "checksum", "SHA256"])
@pytest.mark.parametrize("name", ["filename", "name"])
def test_both_headers(tmp_path, digest, name):
    folder = trees.sd302(tmp_path, [2303], "A") / "images/challengers/A/roll/png"
    trees.checksums(folder, folder.parent / "checksum_A_roll_png.csv", (digest, name))
    result = verify_checksums([folder], [tmp_path])
    assert (result.lists, result.matched, result.unlisted, result.faults) == (1, 10, 0, [])


def test_sd300_lists_lie_two_folders_above(tmp_path):
    top = trees.sd300(tmp_path, [1000]) / "images/500"
    for capture in ("roll", "plain"):
        trees.checksums(top / "png" / capture, top / f"checksum_500_png_{capture}.csv")
    result = audit(discover([tmp_path]), checksums=True).checksums
    assert (result.lists, result.matched, result.unlisted) == (2, 22, 0)


def test_every_checksum_fault_is_named(tmp_path):
    folder = trees.sd302(tmp_path, [2303], "A") / "images/challengers/A/roll/png"
    trees.checksums(folder, folder / "checksum_A_roll_png.csv")
    changed, gone, new = (folder / f"00002303_A_roll_{k}.png" for k in ("01", "02", "11"))
    changed.write_bytes(changed.read_bytes() + b"!")
    gone.rename(new)
    result = audit(discover([tmp_path]), checksums=True)
    assert (result.checksums.matched, result.checksums.unlisted) == (8, 1)
    first, second = result.checksums.faults
    assert str(changed) in first
    assert str(gone) in second
    assert "listed and not there" in second
    assert not result.sound
    assert "CHECKSUMS (2)" in format_audit(result)


def test_copy_with_names_in_another_case_matches(tmp_path):
    folder = trees.sd302(tmp_path, [2303], "A") / "images/challengers/A/roll/png"
    trees.checksums(folder, folder / "CHECKSUM_A_roll_png.CSV")
    for path in list(folder.glob("*.png")):
        path.rename(folder / path.name.upper())
    result = verify_checksums([folder], [tmp_path])
    assert (result.lists, result.matched, result.unlisted, result.faults) == (1, 10, 0, [])


def test_lists_above_the_root_are_not_read(tmp_path, monkeypatch):
    """They are of other data, and their folders may be unreadable."""
    folder = trees.sd302(tmp_path / "sets", [2303], "A") / "images/challengers/A/roll/png"
    trees.checksums(folder, folder.parent / "checksum_A_roll_png.csv")
    (folder.parents[1] / "checksum_other.csv").write_text("sha256,filename\n0,other.png\n")
    monkeypatch.chdir(folder.parents[1])
    for root in (folder.parent, Path("roll")):
        report = verify_checksums([folder], [root])
        assert (report.lists, report.matched, report.faults) == (1, 10, [])
    assert len(verify_checksums([folder], [folder.parents[2]]).faults) == 1


@pytest.mark.parametrize("content", ["", "md5,file\n1,2\n", "sha256,filename\nabc\n"])
def test_damaged_list_is_a_fault(tmp_path, content):
    folder = trees.sd302(tmp_path, [2303], "A") / "images/challengers/A/roll/png"
    (folder / "checksum_A_roll_png.csv").write_text(content)
    result = verify_checksums([folder], [tmp_path])
    assert "checksum_A_roll_png.csv" in result.faults[0]


# The command


def run(*arguments):
    return CliRunner().invoke(main, ["audit", *map(str, arguments)])


def test_command_prints_json_alone_on_standard_output(tmp_path):
    trees.sd302(tmp_path, [2303], "U")
    result = run("--data", tmp_path, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["partitions"]["sd302/U"]["images"] == 10
    assert report["partitions"]["sd302/U"]["excluded"] == {}
    assert "sd302/A" in report["missing"]


def test_command_exits_with_1_where_something_is_wrong(tmp_path):
    trees.sd302(tmp_path, [2303], "U", codes=[1, 17])
    result = run("--data", tmp_path)
    assert result.exit_code == 1
    assert "17 is no finger position" in result.stdout


def test_exit_codes_of_faults_and_misuse(tmp_path):
    assert run("--data", tmp_path).exit_code == 1
    result = run("--data", tmp_path / "missing")
    assert result.exit_code == 2
    assert "no such folder" in result.stderr
