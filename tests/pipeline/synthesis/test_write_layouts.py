"""Sets in the layouts of FVC2002 and NIST on disk, with grey images that cost nothing."""

import json
from collections import defaultdict

import cv2
import pytest
from blank_impressions import use_grey_impressions
from click.testing import CliRunner
from trees import list_files

from pipeline.__main__ import main
from pipeline.sources import fvc
from pipeline.synthesis import write
from pipeline.synthesis.write import write_set
from shards.foundation.errors import Misuse


@pytest.fixture
def grey(monkeypatch):
    use_grey_impressions(monkeypatch)


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_fvc2002_has_four_databases_of_the_right_sizes(grey, tmp_path):
    report = write_set(tmp_path, 1, 2, 1, layout="fvc2002")
    assert (report.folder, report.written) == (tmp_path / "fvc2002", 8)
    for database, (width, height) in enumerate(
        ((388, 374), (296, 560), (300, 300), (288, 384)), start=1
    ):
        paths = sorted((tmp_path / f"fvc2002/DB{database}_B").iterdir())
        assert [p.name for p in paths] == ["101_1.tif", "101_2.tif"]
        for path in paths:
            assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == (height, width)
            assert not fvc.odd_size(path, f"fvc2002/db{database}_b")
    assert write_set(tmp_path, 11, 1, 1, layout="fvc2002").written == 44  # A sets beside the B sets
    assert {i.ppi for i in list_files(fvc, tmp_path).impressions if "db2" in i.partition} == {569}


def test_a_set_is_completed_and_another_one_refused(grey, tmp_path):
    write_set(tmp_path, 10, 1, 1, layout="sd302")
    before = contents(tmp_path)
    removed = [p for p in before if p.name.endswith(("U_500_roll_01.png", "S_1000_slap_14.png"))]
    lists = [p for p in before if p.name == "checksum_U_500_roll_png.csv"]
    for path in removed + lists:
        path.unlink()
    report = write_set(tmp_path, 10, 1, 1, layout="sd302")
    assert (report.written, len(removed), len(lists)) == (2, 2, 1)
    assert contents(tmp_path) == before
    with pytest.raises(Misuse, match="sd302: holds another set"):
        write_set(tmp_path, 20, 1, 1, layout="sd302")


def test_checksum_lists_have_the_headers_of_the_deliveries(grey, tmp_path):
    for kind in ("sd300", "sd302"):
        write_set(tmp_path, 10, 1, 1, layout=kind)
    headers = {
        path.relative_to(tmp_path).parts[1]: path.read_text().splitlines()[0]
        for path in tmp_path.rglob("*.csv")
    }
    assert headers["sd300a"] == "sha256,filename"
    assert headers["sd300b"] == "sha256,name"
    assert headers["sd302a"] == "checksum,filename"
    assert (tmp_path / "sd300/sd300a/images/500/checksum_500_png_plain.csv").exists()
    challengers = tmp_path / "sd302/sd302a/images/challengers"
    assert (challengers / "A/roll/png/checksum_A_roll_png.csv").exists()


def test_command(grey, tmp_path):
    arguments = ["synth", "--out", tmp_path, "--fingers", 5, "--impressions", 2, "--seed", 3]
    result = CliRunner().invoke(main, [*map(str, arguments), "--layout", "sd300"])
    assert result.exit_code == 0
    assert "66 images made (persons: 1; one impression of a finger by each device" in result.output
    assert json.loads((tmp_path / "sd300/set.json").read_text())["seed"] == 3


def test_the_address_of_a_master_has_neither_data_set_nor_device(grey, tmp_path, monkeypatch):
    addresses = defaultdict(list)
    for kind in ("sd301a", "sd302"):
        monkeypatch.setattr(
            write, "synthesize_master", lambda *a, kind=kind: addresses[kind].append(a)
        )
        write_set(tmp_path, 10, 1, 4, layout=kind)
    assert sorted(addresses["sd301a"]) == [(4, "nist", 223900 + finger) for finger in range(1, 11)]
    assert sorted(addresses["sd302"]) == sorted(addresses["sd301a"])  # each once for all devices
