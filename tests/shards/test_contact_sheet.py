import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from pairs import make_pairs

from shards import contact_sheet, manifest, shard_file, store
from shards.__main__ import main
from shards.manifest import ShardEntry
from shards.record import encode

PARTITIONS = ("synthetic/test", "sd302/U")


@pytest.fixture(scope="module")
def sheets(tmp_path_factory):
    """A set of two partitions: 12 pairs to train on and 4 to test on."""
    out = tmp_path_factory.mktemp("set")
    name = manifest.shard_name
    entries = [
        shard_file.write_shard(
            out / name(partition, split, 0, 1),
            map(encode, make_pairs(n, 1, partition=partition, split=split)),
        )
        for partition, split, n in (("synthetic/test", "train", 12), ("sd302/U", "test", 4))
    ]
    images = {"synthetic/test": {"x": "0" * 64, "y": "1" * 64}, "sd302/U": {}}
    store.write_manifest(out, manifest.assemble({"seed": 1}, images, entries))
    (out / "quarantine.jsonl").write_text('{"path": "x.tif", "reason": "16 bits"}\n')
    return out


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_sheet_holds_the_pairs_asked_for(sheets, tmp_path):
    result = run("show", sheets, "--out", tmp_path / "deep" / "sheet.png", "--pairs", 5)
    assert result.exit_code == 0 and "5 pairs" in result.stdout
    picture = cv2.imread(str(tmp_path / "deep" / "sheet.png"))
    height = contact_sheet.HEAD + 2 * 128 + contact_sheet.GAP + 8
    assert picture.shape[0] == 3 * height  # three rows of two columns
    assert picture[-height:, picture.shape[1] // 2 + 20 :].min() == 255  # the sixth place is blank


def test_the_sample_is_fixed_without_doubles_and_of_the_partition(sheets):
    shards = store.open_set(sheets)
    chosen = contact_sheet.choose(shards, 10)
    assert chosen == contact_sheet.choose(shards, 10) and len(set(chosen)) == 10
    test, train = ([(split, k) for k in range(n)] for split, n in (("test", 4), ("train", 12)))
    assert contact_sheet.choose(shards, 100, ["sd302/U"]) == test
    assert (
        contact_sheet.choose(shards, 100)
        == contact_sheet.choose(shards, 16, list(PARTITIONS))
        == train + test
    )


def test_a_sample_of_very_many_records_needs_no_list_of_them(tmp_path):
    """A million million of them, as the manifest says."""
    partition, most = "synthetic/many", 10**11
    names = (manifest.shard_name(partition, "train", k, 10) for k in range(10))
    counts = {"genuine/none": most}
    entries = [ShardEntry(n, partition, "train", 1, "0" * 64, most, counts) for n in names]
    shards = store.ShardSet(tmp_path, manifest.assemble({}, {partition: {}}, entries))
    chosen = contact_sheet.choose(shards, 500)
    numbers = [index for _, index in chosen]
    assert len(set(numbers)) == 500 and numbers == sorted(numbers)
    assert {shards.locate(*record)[0].name for record in chosen} == {e.name for e in entries}


def test_a_sheet_of_several_partitions(sheets, tmp_path):
    """Named by one option or by two, as make does; the last does not win."""
    for given in ([",".join(PARTITIONS)], [PARTITIONS[0], "--partition", PARTITIONS[1]]):
        out = tmp_path / "x.png"
        result = run("show", sheets, "--out", out, "--pairs", 100, "--partition", *given)
        assert result.exit_code == 0 and "16 pairs" in result.stdout


def test_an_unknown_partition_is_wrong_use(sheets, tmp_path):
    result = run("show", sheets, "--out", tmp_path / "x.png", "--partition", "sd302/V")
    assert result.exit_code == 2 and "it has sd302/U, synthetic/test" in result.stderr


def test_a_sheet_that_cannot_be_written_is_a_fault(sheets, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("show", sheets, "--out", tmp_path / "file" / "x.png")
    assert result.exit_code == 1 and "cannot be written" in result.stderr


def test_points_are_drawn_where_the_map_says():
    pair = make_pairs(1, 3)[0]
    picture = contact_sheet.tile(pair, "train", "here")
    side = 2 * 128 + contact_sheet.GAP
    panel_a = picture[contact_sheet.HEAD :, contact_sheet.GAP // 2 :]
    panel_b = panel_a[:, side:]
    row, column = 20, 12  # number 10 of the lattice
    x, y = 4 * column + 1.5, 4 * row + 1.5
    colour = panel_a[round((y + 0.5) * 2 - 0.5), round((x + 0.5) * 2 - 0.5)]
    x, y = pair.map_ab[row, column]
    assert np.array_equal(colour, panel_b[round((y + 0.5) * 2 - 0.5), round((x + 0.5) * 2 - 0.5)])
    assert np.ptp(colour.astype(int)) > 100  # a colour and no grey of the image


def test_the_chequer_continues_ridges_where_the_map_is_right():
    """Bright and dark of A and of B brought onto it agree, and do not where the map is off."""
    pair = make_pairs(2, 3)[1]
    plain = contact_sheet._chequer(replace(pair, image_b=pair.image_a, map_ab=_own_map(pair)))
    right = contact_sheet._chequer(pair)
    wrong = contact_sheet._chequer(replace(pair, map_ab=pair.map_ab + np.float32(2)))
    seen = (plain != 235) & (right != 235) & (wrong != 235)
    agree = [np.corrcoef(plain[seen], other[seen])[0, 1] for other in (right, wrong)]
    assert agree[0] > 0.9 > agree[1]


def _own_map(pair):
    i = np.arange(32, dtype=np.float32) * 4 + 1.5
    return np.stack(np.meshgrid(i, i), -1)


def test_info_tells_counts_by_partition_split_kind_and_noise(sheets):
    told = json.loads(run("info", sheets, "--json").stdout)
    assert (told["records"], told["shards"], told["quarantined"]) == (16, 2, 1)
    assert told["bytes"] == sum(path.stat().st_size for path in sheets.rglob("*.arrayrecord"))
    assert told["spec"] == {"seed": 1} and len(told["spec_hash"]) == 64
    part = told["partitions"]["sd302/U"]
    assert part["counts"] == {
        "test": {f"genuine/{n}": 1 for n in ("dryness", "pressure", "sensor")}
        | {"impostor/sensor": 1}
    }
    assert told["partitions"]["synthetic/test"]["images"] == 2
    text = run("info", sheets).stdout
    assert "16 pairs in 2 shards" in text and "synthetic/test: 12 pairs of 2 images" in text


def test_info_counts_what_is_in_quarantine_whatever_it_says(sheets, tmp_path):
    shutil.copytree(sheets, tmp_path / "set")
    (tmp_path / "set/quarantine.jsonl").write_bytes(b"\xff\xfe\n{\n")
    assert json.loads(run("info", tmp_path / "set", "--json").stdout)["quarantined"] == 2


def test_info_without_a_set_is_wrong_use(tmp_path):
    assert run("info", tmp_path).exit_code == 2
