"""Contact sheets show sampled pairs."""

import cv2
import pytest
from click.testing import CliRunner
from shard_sets import write_two_partitions

from shards import contact_sheet, manifest, plot, store
from shards.__main__ import main
from shards.manifest import ShardEntry

PARTITIONS = ("synthetic/test", "sd302/U")


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory):
    return write_two_partitions(tmp_path_factory.mktemp("set"))


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_sheet_shows_the_requested_number_of_pairs(shard_set, tmp_path):
    result = run("show", shard_set, "--out", tmp_path / "deep" / "sheet.png", "--pairs", 5)
    assert result.exit_code == 0 and "5 pairs" in result.stdout
    picture = cv2.imread(str(tmp_path / "deep" / "sheet.png"))
    height = plot.DEFAULT.head + 2 * 128 + plot.DEFAULT.gap + 8
    assert picture.shape[0] == 3 * height  # three rows of two columns
    assert picture[-height:, picture.shape[1] // 2 + 20 :].min() == 255  # the sixth place is white


def test_the_sample_is_fixed_distinct_and_of_the_requested_partitions(shard_set):
    shards = store.open_set(shard_set)
    chosen = contact_sheet.sample_records(shards, 10)
    assert chosen == contact_sheet.sample_records(shards, 10) and len(set(chosen)) == 10
    test = [("test", k) for k in range(4)]
    train = [("train", k) for k in range(12)]
    assert contact_sheet.sample_records(shards, 100, ["sd302/U"]) == test
    assert (
        contact_sheet.sample_records(shards, 100)
        == contact_sheet.sample_records(shards, 16, list(PARTITIONS))
        == train + test
    )


def test_records_of_a_very_large_set_can_be_sampled(tmp_path):
    """The manifest lists 10¹² records; a list of them would not fit in memory."""
    partition, most = "synthetic/many", 10**11
    names = (manifest.shard_name(partition, "train", k, 10) for k in range(10))
    counts = {"genuine/none": most}
    entries = [ShardEntry(n, partition, "train", 1, "0" * 64, most, counts) for n in names]
    shards = store.ShardSet(tmp_path, manifest.assemble({}, {partition: {}}, entries))
    chosen = contact_sheet.sample_records(shards, 500)
    numbers = [index for _, index in chosen]
    assert len(set(numbers)) == 500 and numbers == sorted(numbers)
    assert {shards.locate(*record)[0].name for record in chosen} == {e.name for e in entries}


def test_a_sheet_of_several_partitions(shard_set, tmp_path):
    """One option may have several names, and may be repeated."""
    for names in ([",".join(PARTITIONS)], [PARTITIONS[0], "--partition", PARTITIONS[1]]):
        out = tmp_path / "x.png"
        result = run("show", shard_set, "--out", out, "--pairs", 100, "--partition", *names)
        assert result.exit_code == 0 and "16 pairs" in result.stdout


def test_an_unknown_partition_is_a_misuse(shard_set, tmp_path):
    result = run("show", shard_set, "--out", tmp_path / "x.png", "--partition", "sd302/V")
    assert result.exit_code == 2 and "it has sd302/U, synthetic/test" in result.stderr


def test_a_sheet_replaces_no_file_of_another_format(shard_set):
    manifest = shard_set / "manifest.json"
    before = manifest.read_bytes()
    result = run("show", shard_set, "--out", manifest)
    assert result.exit_code == 2 and "expected a name that ends in .png" in result.stderr
    assert manifest.read_bytes() == before


def test_a_sheet_that_cannot_be_written_is_a_fault(shard_set, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("show", shard_set, "--out", tmp_path / "file" / "x.png")
    assert result.exit_code == 1 and "cannot be written" in result.stderr
