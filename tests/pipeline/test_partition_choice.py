"""Names that stand for several partitions."""

import dataclasses

import pytest
import trees
from click.testing import CliRunner

import configs
from pipeline import partition_choice
from pipeline.__main__ import main
from pipeline.catalog import select_impressions
from shards import store
from shards.foundation.errors import Fault, Misuse

ON_DISK = ["fvc2002/db1_b", "fvc2002/db3_b", "sd302/A", "sd302/U"]
SPEC = dataclasses.replace(configs.load().pipeline, pairs_per_shard=20)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sd302"], ["sd302/A", "sd302/U"]),
        (["SD302/*"], ["sd302/A", "sd302/U"]),
        (["fvc2002/db?_b", "sd302/A"], ["fvc2002/db1_b", "fvc2002/db3_b", "sd302/A"]),
        (["found"], ON_DISK),
        (["sd302/A", "sd302"], ["sd302/A", "sd302/U"]),
        (["sd302/B"], ["sd302/B"]),
    ],
)
def test_names_are_expanded_by_what_is_on_disk(names, expected):
    assert partition_choice.expand(names, reversed(ON_DISK)) == expected


@pytest.mark.parametrize("name", ["sd300", "sd300/*", "nothing"])
def test_a_choice_of_nothing_names_what_is_there(name):
    with pytest.raises(Misuse, match=r"no such partition on disk; there are fvc2002/db1_b, "):
        partition_choice.expand([name], ON_DISK)


@pytest.fixture
def data(tmp_path):
    for folder in ("DB1_B", "DB3_B"):
        trees.fvc2002(tmp_path / "data", folder, [101, 102])
    return tmp_path / "data"


def test_whole_data_sets_are_selected(data):
    selection, _ = select_impressions([data], ["fvc2002"], SPEC)
    assert sorted(selection) == ["fvc2002/db1_b", "fvc2002/db3_b"]


def test_missing_partitions_end_with_the_command_that_builds_the_others(data):
    with pytest.raises(Fault) as fault:
        select_impressions([data], ["fvc2002/db1_b", "fvc2002/db2_a"], SPEC)
    line = str(fault.value).splitlines()[-1]
    assert line == f"  make shards DATA={data} PARTITION=fvc2002/db1_b,fvc2002/db3_b"


def test_a_build_into_a_set_defaults_to_the_partitions_of_the_set(data, tmp_path):
    arguments = ["build", "--data", str(data), "--out", str(tmp_path / "out"), "--workers", "1"]
    first = CliRunner().invoke(main, [*arguments, "--partition", "fvc2002/db1_b", "--skip-bad"])
    assert first.exit_code == 0, first.output
    again = CliRunner().invoke(main, [*arguments, "--skip-bad"])
    assert again.exit_code == 0, again.output
    assert "builds its own partitions again: fvc2002/db1_b" in again.stderr
    assert sorted(store.load_manifest(tmp_path / "out").partitions) == ["fvc2002/db1_b"]
