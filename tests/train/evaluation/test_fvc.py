"""The FVC protocol: its comparisons, their log, and the metrics from their scores."""

import numpy as np
import pytest

from shards.foundation.errors import Fault
from train.evaluation import (
    error_rates,
    file_methods,
    fvc,
    fvc_results,
    reference_minutiae,
    result_log,
)
from train.evaluation.file_methods import NETWORK, PHASE, SIFT, FileResult
from train.evaluation.impression_folder import find_impressions

INPUTS = {"checkpoint_sha256": "1", "ppi": None}


class Compare:
    """Stands in for the methods: scores by the names; 9_1.png is no finger.

    Attributes:
        count: comparisons that were made; after `most` of them the process is interrupted.
    """

    def __init__(self, most=10**6):
        self.most, self.count = most, 0

    def __call__(self, a, b):
        self.count += 1
        if self.count > self.most:
            raise KeyboardInterrupt
        for path in (a, b):
            if path.name == "9_1.png":
                raise Fault(f"{path}: no foreground")
        same = a.stem.split("_")[0] == b.stem.split("_")[0]
        shift = np.array([3.0, 0.0])
        return {
            "network": FileResult(0.9 if same else 0.1, lambda points: points + shift),
            "other": FileResult(float(a.stem.split("_")[1]), lambda points: points * np.nan),
        }


def folder(root, fingers, count=3):
    root.mkdir(exist_ok=True)
    for finger in fingers:
        for k in range(1, count + 1):
            (root / f"{finger}_{k}.png").touch()
    (root / "readme.txt").touch()
    return root


def test_comparisons_of_the_protocol(tmp_path):
    """100 fingers × 8 impressions: 2,800 genuine and 4,950 impostor comparisons."""
    comparisons = fvc.list_comparisons(find_impressions(folder(tmp_path, range(1, 101), 8)))
    assert sum(genuine for _, _, genuine in comparisons) == 2800
    impostors = [(a, b) for a, b, genuine in comparisons if not genuine]
    assert len(set(impostors)) == 4950
    assert {path.stem.split("_")[1] for pair in impostors for path in pair} == {"1"}


def test_every_comparison_is_scored_by_every_method(tmp_path):
    results = fvc.evaluate(folder(tmp_path, [1, 2, 3]), Compare(), tmp_path, INPUTS)
    assert len(results.rows) == 12
    assert results.genuine.sum() == 9
    np.testing.assert_array_equal(results.scores["network"], np.where(results.genuine, 0.9, 0.1))
    metrics = results.metrics()
    for name in ("eer", "zero_fmr", "fmr100", "fmr1000"):
        assert metrics["network"][name] == 0
        assert np.isnan(metrics["network"][f"{name}_high"])  # three fingers give no interval
    assert metrics["other"]["eer"] > 0.3


def test_no_error_has_an_upper_bound_by_the_number_of_fingers(tmp_path):
    results = fvc.evaluate(folder(tmp_path, range(10, 25), 2), Compare(), tmp_path, INPUTS)
    metrics = results.metrics()["network"]
    bound = pytest.approx(1 - (1 - 3 / 15) ** 2)
    assert (metrics["eer"], metrics["eer_low"], metrics["eer_high"]) == (0, 0, bound)
    assert (metrics["auc"], 1 - metrics["auc_low"], metrics["auc_high"]) == (1, bound, 1)
    threshold = results.threshold("network")
    assert 0.1 < threshold.score <= 0.9
    assert (threshold.fmr, threshold.fnmr, threshold.fmr_bound) == (0, 0, bound)
    assert (threshold.impostor_pairs, threshold.fingers) == (105, 15)


def test_failed_comparison_is_reported_and_the_others_are_made(tmp_path):
    results = fvc.evaluate(folder(tmp_path, [1, 2, 9], 2), Compare(), tmp_path, INPUTS)
    assert len(results.rows) == 6
    assert len(results.faults) == 3
    assert "9_1.png" in results.faults[0]
    assert np.isneginf(results.scores["network"]).sum() == 3
    zero_fmr = results.metrics()["network"]["zero_fmr"]
    assert zero_fmr == pytest.approx(1 / 3)  # rejected, not left out


def test_interrupted_evaluation_continues(tmp_path):
    """Also after an incomplete line."""
    files = folder(tmp_path, [1, 2, 3])
    with pytest.raises(KeyboardInterrupt):
        fvc.evaluate(files, Compare(5), tmp_path, INPUTS)
    log = result_log.path(tmp_path, INPUTS)
    assert len(log.read_bytes().splitlines()) == 1 + 5
    with log.open("ab") as file:
        file.write(b'{"a": "1_1.png", "b": "3_')
    compare = Compare()
    results = fvc.evaluate(files, compare, tmp_path, INPUTS)
    assert compare.count == 7
    complete = fvc.evaluate(files, Compare(), folder(tmp_path / "x", []), INPUTS)
    assert results.rows == complete.rows
    again = Compare()
    fvc.evaluate(files, again, tmp_path, INPUTS)
    assert again.count == 0


def test_a_result_that_is_missing_in_the_log_is_made_again_in_its_place(tmp_path):
    files = folder(tmp_path, [1, 2])
    complete = fvc.evaluate(files, Compare(), tmp_path, INPUTS)
    log = result_log.path(tmp_path, INPUTS)
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:2] + lines[3:]))
    compare = Compare()
    assert fvc.evaluate(files, compare, tmp_path, INPUTS).rows == complete.rows
    assert compare.count == 1


def test_results_of_another_checkpoint_are_not_reused_and_stay(tmp_path):
    files = folder(tmp_path, [1, 2])
    counts = []
    for checkpoint in "1212":
        compare = Compare()
        fvc.evaluate(files, compare, tmp_path, INPUTS | {"checkpoint_sha256": checkpoint})
        counts.append(compare.count)
    assert counts == [7, 7, 0, 0]


def test_results_of_another_version_are_not_reused(tmp_path, monkeypatch):
    """A method's version, and that of a library; the same versions once more are reused."""
    files, checkpoint = folder(tmp_path / "images", [1, 2]), tmp_path / "c"
    checkpoint.write_bytes(b"1")

    def comparisons():
        compare = Compare()
        inputs = fvc.describe_inputs(files, checkpoint, None, None)
        fvc.evaluate(files, compare, tmp_path, inputs)
        return compare.count

    assert (comparisons(), comparisons()) == (7, 0)
    with monkeypatch.context() as changed:
        changed.setattr(file_methods, "METHOD_VERSION", file_methods.METHOD_VERSION + 1)
        assert (comparisons(), comparisons()) == (7, 0)
    with monkeypatch.context() as changed:
        changed.setattr(result_log, "library_versions", lambda: {"numpy": "0.0.1"})
        assert (comparisons(), comparisons()) == (7, 0)
    assert comparisons() == 0


def test_every_method_has_a_version():
    methods = {NETWORK, SIFT, PHASE, reference_minutiae.ORACLE}
    assert set(file_methods.versions()) == methods | {"measurement"}


def test_inputs_change_with_images_checkpoint_and_minutiae(tmp_path):
    files, checkpoint = folder(tmp_path, [1, 2]), tmp_path / "c"
    checkpoint.write_bytes(b"1")
    first = fvc.describe_inputs(files, checkpoint, None, None)
    (files / "2_1.png").write_bytes(b"another image")
    second = fvc.describe_inputs(files, checkpoint, None, checkpoint)
    checkpoint.write_bytes(b"2")
    third = fvc.describe_inputs(files, checkpoint, 500.0, checkpoint)
    assert {k for k in first if first[k] != second[k]} == {"images_sha256", "minutiae_sha256"}
    assert {k for k in second if second[k] != third[k]} == {
        "checkpoint_sha256", "minutiae_sha256", "ppi",
    }  # fmt: skip


def test_reference_minutiae_measure_the_maps(tmp_path):
    """B's minutiae lie where A's do; the network errs by 3 px, the other method has no map.

    One in four minutiae of B has another direction and confirms nothing.
    """
    files = folder(tmp_path, [1, 2], 2)
    rng = np.random.default_rng(0)
    of_finger = {k: np.c_[rng.permutation(20) * 25.0, rng.permutation(20) * 25.0] for k in "12"}
    minutiae = {}
    for path in files.glob("*.png"):
        points = of_finger[path.name[0]]
        direction = np.where(np.arange(20) % 4 == 0, 1.0 if path.name[2] == "2" else 0.0, 0.5)
        minutiae[path.name] = np.c_[points, direction, np.ones(20)]
    results = fvc.evaluate(files, Compare(), tmp_path, INPUTS, lambda path: minutiae[path.name])
    metrics = results.metrics()
    assert metrics["network"]["confirmed"] == pytest.approx(0.75)
    assert metrics["network"]["residual"] == pytest.approx(3)
    assert metrics["network"]["aligned"] == 1
    assert metrics["other"]["confirmed"] == metrics["other"]["aligned"] == 0
    assert np.isnan(metrics["other"]["residual"])
    assert metrics["rigid oracle"]["confirmed"] == 0.75
    assert metrics["rigid oracle"]["eer"] == 0
    assert metrics["rigid oracle"]["residual"] == pytest.approx(0, abs=1e-3)


def test_equal_error_rate_of_tied_scores_lies_within_its_interval():
    """The scores of test_accuracy, here as comparisons of ten fingers; the estimator is one."""
    genuine, impostor = [0, 0, 0, 5, *[9] * 6], [0, 0, 0, 0, 0, 5, 5, 5, 5, 9]
    fingers = [(k, k) for k in range(10)] + [(k, (k + 1) % 10) for k in range(10)]
    rows = [
        {"a": f"{a}_1.png", "b": f"{b}_2.png", "genuine": a == b, "fault": None,
         "scores": {"network": score}, "minutiae": {}}
        for (a, b), score in zip(fingers, genuine + impostor, strict=True)
    ]  # fmt: skip
    results = fvc_results.collect(rows)
    metrics = results.metrics()["network"]
    expected = error_rates.compute(results.scores["network"], results.genuine).eer()
    assert metrics["eer_low"] < metrics["eer"] == expected == 0.25 < metrics["eer_high"]
