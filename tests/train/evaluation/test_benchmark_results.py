"""Metrics of a benchmark: by set, over all sets, by condition, and what failures cost."""

import itertools

import numpy as np
import pytest

from train.evaluation.benchmark import results
from train.evaluation.benchmark.results import BEFORE, SetRows


def set_rows(name, fingers=12, seed=0, failed=()):
    """Rows of two impressions per finger; genuine pairs k in `failed` have a fault."""
    rng = np.random.default_rng(seed)
    names = [f"{k}_{i}.tif" for k in range(fingers) for i in (1, 2)]
    genuine = list(itertools.pairwise(names))[::2]
    pairs = genuine + list(itertools.combinations(names[::2], 2))
    facts, rows = [], []
    for k, (a, b) in enumerate(pairs):
        same = k < fingers
        facts.append(
            {
                "a": a, "b": b, "genuine": same, "fault": None,
                "conditions": {"quality": 0.65 if k % 2 else 0.45, "overlap": None},
                "mates": [[0, 1], [1, 0]] if same else None,
                "residuals": [3.0, 4.0] if same else None,
                "oracle": 0.5 if same else None,
                "matchers": {"bozorth3": 20.0 if same else 5.0},
            }
        )  # fmt: skip
        row = {"a": a, "b": b, "genuine": same, "fault": None}
        if k in failed:
            rows.append(row | {"fault": "no finger", "matchers": {}})
            continue
        measured = {"confirmed": 0.8, "aligned": True, "residuals": [1.0, 2.0]}
        measured |= {"mate_distances": [1.0, 2.0]}
        row |= {"score": float(same) + 0.5 * rng.random(), "seconds": 0.5, "mapped": 0.9}
        row |= {"correlation": 0.7 if same else 0.1, "bending": 0.2 if same else 3.0}
        row |= {"matchers": {"bozorth3": 40.0 if same else 6.0}}
        rows.append(row | (measured if same else {}))
    return SetRows(name, facts, {"m": rows})


def test_a_genuine_pair_that_cannot_be_opened_confirms_nothing():
    rows = set_rows("A")
    nothing = {"mates": None, "residuals": None, "oracle": None, "matchers": {}, "conditions": {}}
    rows.facts[0] |= nothing | {"fault": "1_1.tif: no finger"}
    row = rows.rows["m"][0]
    rows.rows["m"][0] = {key: row[key] for key in ("a", "b", "genuine")} | {
        "fault": "1_1.tif: no finger",
        "matchers": {},
    }
    metrics = results.tables([rows])["A"].metrics()
    assert metrics["m"]["confirmed"] == pytest.approx(0.8 * 11 / 12)
    assert metrics["m"]["aligned"] == pytest.approx(11 / 12)
    assert metrics["rigid oracle"]["confirmed"] == 0.5


def test_metrics_of_a_set():
    metrics = results.tables([set_rows("A")])["A"].metrics()
    m = metrics["m"]
    assert (m["eer"], m["eer_high"]) == (0, 1 - (1 - 3 / 12) ** 2)
    assert (m["bozorth3_eer"], m["bozorth3_eer_high"]) == (0, m["eer_high"])
    assert (m["tar_far1"], m["tar_far1_low"], m["tar_far1_high"]) == (1, 1 - 3 / 12, 1)
    assert m["confirmed"] == pytest.approx(0.8)
    assert (m["mates"], m["residual"], metrics["rigid oracle"]["mates"]) == (1.5, 1.5, 3.5)
    assert (m["correlation"], m["correlation_impostor"]) == (pytest.approx(0.7), pytest.approx(0.1))
    assert (m["bending"], m["seconds"], m["failed"]) == (0.2, 0.5, 0)  # of genuine pairs
    assert (m["bozorth3_genuine"], m["bozorth3_impostor"]) == (40, 6)
    assert metrics[BEFORE]["bozorth3_genuine"] == 20
    assert "mcc_eer" not in m


def test_fingers_of_two_sets_are_different_fingers():
    tables = results.tables([set_rows("A"), set_rows("B", seed=1)])
    assert list(tables) == ["A", "B", "all"]
    assert tables["all"].metrics()["m"]["eer_high"] == 1 - (1 - 3 / 24) ** 2
    assert len(tables["all"].facts) == 2 * len(tables["A"].facts)


def test_a_failure_counts_against_the_method():
    """To leave out hard pairs improves no metric."""
    good, bad = [
        results.tables([set_rows("A", failed=failed)])["A"].metrics()["m"]
        for failed in ((), (0, 1, 2))
    ]
    assert bad["failed"] == 3
    assert bad["tar_far1"] == pytest.approx(9 / 12)
    for name in ("confirmed", "aligned", "correlation", "bozorth3_genuine"):
        assert bad[name] == pytest.approx(good[name] * 9 / 12)
    everything = results.tables([set_rows("A", failed=range(12))])["A"].metrics()["m"]
    assert everything["mates"] == 64
    assert "bending" not in everything
    assert everything["zero_fmr"] == 1


def test_a_group_without_an_error_has_the_bound_of_its_fingers():
    table = results.tables([set_rows("A")])["A"]
    metrics = table.group_metrics("m", table.genuine)
    assert (metrics["tar_far1"], metrics["tar_far1_low"]) == (1, 1 - 3 / 12)


def test_groups_of_conditions():
    table = results.tables([set_rows("A", failed=(0,))])["A"]
    groups = table.groups()
    everything = table.group_metrics("m", table.genuine)
    assert (everything["tar_far1"], everything["pairs"]) == (pytest.approx(11 / 12), 12)
    assert set(groups) == {"quality 0.4–0.5", "quality 0.6–0.7"}  # nothing is known of the overlap
    assert all(not (chosen & ~table.genuine).any() for chosen in groups.values())
    weak = table.group_metrics("m", groups["quality 0.4–0.5"])
    assert (weak["pairs"], weak["tar_far1"]) == (6, pytest.approx(5 / 6))
    assert table.group_metrics("m", groups["quality 0.6–0.7"])["tar_far1"] == 1
