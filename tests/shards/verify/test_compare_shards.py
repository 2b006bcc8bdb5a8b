"""Faults that only show between records: persons in two splits, repeated pairs, drift."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from shard_sets import (
    FIRST,
    SECOND,
    VAL,
    cached_pairs,
    example_pairs,
    messages,
    write_changed_set,
    write_set,
)

from shards import manifest
from shards.foundation.errors import Finding
from shards.verify import check_shard
from shards.verify.compare_shards import ShardComparison


def test_a_person_in_two_splits_is_reported(tmp_path):
    change = {"finger_a": "synthetic/test/train-000", "finger_b": "synthetic/test/train-000"}
    out = write_changed_set(tmp_path / "set", lambda p: replace(p, **change), VAL, 2)
    assert messages(out, "deep") == [
        f"{VAL}: record 2: shows 'synthetic/test/train-000', who is in train too ({FIRST} 0)"
    ]


def test_two_fingers_of_a_nist_person_in_two_splits_are_reported(tmp_path):
    content = example_pairs()
    for name, finger in ((FIRST, "nist/00002303/01"), (VAL, "nist/00002303/07")):
        content[name] = [replace(content[name][0], finger_a=finger, finger_b=finger)]
    faults = messages(write_set(tmp_path / "set", content), "deep")
    assert any("'nist/00002303', who is in train too" in line for line in faults)


def test_a_repeated_pair_is_reported_across_shards(tmp_path):
    repeated = cached_pairs(24, 1)[2]
    out = write_changed_set(tmp_path / "set", lambda p: replace(repeated, index=p.index), SECOND, 5)
    assert messages(out, "deep") == [f"{SECOND}: record 5: has the images of {FIRST} record 2"]
    shutil.rmtree(out)
    out = write_changed_set(tmp_path / "set", lambda p: replace(p, index=2), SECOND, 5)
    assert messages(out, "deep") == [f"{SECOND}: record 5: has the index of {FIRST} record 2"]


def test_a_small_offset_of_all_maps_is_reported(tmp_path):
    def shift(pair):
        map_ab = np.clip(
            pair.map_ab + np.float32([0.2, 0]), 0, 127.4
        )  # below the limit for one map
        return replace(pair, map_ab=map_ab) if pair.genuine else pair

    content = {name: [shift(pair) for pair in pairs] for name, pairs in example_pairs().items()}
    faults = messages(write_set(tmp_path / "set", content), "deep")
    assert len(faults) == 1 and faults[0].endswith("px on average")
    assert faults[0].startswith("synthetic/test: maps of its 24 genuine pairs are off by (-0.")


@pytest.mark.parametrize(("pairs", "faults"), [(0, 0), (3, 0), (4, 4)])
def test_many_inconclusive_pairs_are_faults(pairs, faults):
    """Of 2,500 pairs of two impressions three may be inconclusive."""
    entry = manifest.ShardEntry("train/a", "synthetic/a", "train", 1, "0" * 64, 2500, {})
    report = check_shard.ShardReport(entry, impressions=2500)
    findings = [Finding(entry.name, k, "images do not agree") for k in range(pairs)]
    report.inconclusive += findings
    comparison = ShardComparison()
    assert list(comparison.add(report)) == []
    assert len(list(comparison.finish())) == faults
    assert list(comparison.finish()) == []
