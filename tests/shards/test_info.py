"""The summary of a shard set."""

import json
import shutil

import pytest
from click.testing import CliRunner
from pairs import make_pairs

from shards import manifest, shard_file, store
from shards.__main__ import main
from shards.record import encode


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory):
    """Write a set of two partitions: 12 pairs for training and 4 for testing."""
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


def test_info_without_a_set_is_a_misuse(tmp_path):
    assert run("info", tmp_path).exit_code == 2
