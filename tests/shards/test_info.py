"""The summary of a shard set."""

import json
import shutil

import pytest
from click.testing import CliRunner
from shard_sets import write_two_partitions

from shards.__main__ import main
from shards.foundation import files


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory):
    return write_two_partitions(tmp_path_factory.mktemp("set"))


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_info_counts_records_by_partition_split_kind_and_noise(shard_set):
    summary = json.loads(run("info", shard_set, "--json").stdout)
    assert (summary["records"], summary["shards"], summary["quarantined"]) == (16, 2, 1)
    assert summary["bytes"] == sum(path.stat().st_size for path in shard_set.rglob("*.arrayrecord"))
    assert summary["spec"] == {"seed": 1} and len(summary["spec_hash"]) == 64
    part = summary["partitions"]["sd302/U"]
    assert part["counts"] == {
        "test": {f"genuine/{n}": 1 for n in ("dryness", "pressure", "sensor")}
        | {"impostor/sensor": 1}
    }
    assert summary["partitions"]["synthetic/test"]["images"] == 2
    text = run("info", shard_set).stdout
    assert "16 pairs in 2 shards" in text and "synthetic/test: 12 pairs of 2 images" in text


def test_info_counts_the_lines_of_the_quarantine_even_if_damaged(shard_set, tmp_path):
    shutil.copytree(shard_set, tmp_path / "set")
    (tmp_path / "set/quarantine.jsonl").write_bytes(b"\xff\xfe\n{\n")
    assert json.loads(run("info", tmp_path / "set", "--json").stdout)["quarantined"] == 2


def test_an_unreadable_quarantine_is_a_fault(shard_set, tmp_path):
    path = shutil.copytree(shard_set, tmp_path / "set") / "quarantine.jsonl"
    with path.open("r+b") as file:
        file.truncate(files.DEFAULT.largest + 1)
    result = run("info", tmp_path / "set")
    assert result.exit_code == 1 and f"{path}: cannot be read: it has" in result.stderr


def test_info_without_a_set_is_a_misuse(tmp_path):
    assert run("info", tmp_path).exit_code == 2
