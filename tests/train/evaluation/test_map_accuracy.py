"""Accuracy of dense maps of any method, by true maps and by minutiae."""

import numpy as np
import pytest

from pipeline.imaging.warp import pixel_grid
from shards.foundation.errors import Misuse
from train.densereg import evaluate_maps

SHAPE = (120, 100)


def truth(shift=(10.0, -4.0)):
    mapped = (pixel_grid(*SHAPE) + shift).astype(np.float32)
    mapped[:20] = np.nan
    return mapped


def test_the_truth_itself_is_perfect():
    figures = evaluate_maps([truth(), truth((3, 3))], truth=[truth(), truth((3, 3))])
    perfect = dict.fromkeys(("coverage", "pck@2", "pck@4", "pck@8"), 1)
    assert figures == {"pairs": 2, "epe_median": 0, "epe_mean": 0, **perfect}


def test_errors_are_px_at_500_ppi():
    figures = evaluate_maps([truth((13, 0))], truth=[truth()], ppi_b=1000)
    assert figures["epe_mean"] == pytest.approx(2.5)
    assert (figures["pck@2"], figures["pck@4"]) == (0, 1)
    figures = evaluate_maps([truth((13, 0))] * 2, truth=[truth()] * 2, ppi_b=[1000, 500])
    assert figures["epe_mean"] == pytest.approx(3.75) and figures["pck@4"] == 0.5


def test_a_pixel_without_map_is_wrong_but_has_no_error():
    half = truth((11, -4))
    half[:, 52:] = np.nan
    half[:20] = 0  # a map where nothing corresponds is not measured
    figures = evaluate_maps([half], truth=[truth()])
    assert figures["coverage"] == pytest.approx(0.52)
    assert figures["pck@8"] == figures["coverage"] and figures["epe_median"] == 1


def test_nothing_to_measure_is_nan():
    nowhere = np.full((*SHAPE, 2), np.nan)
    assert evaluate_maps([nowhere], truth=[truth()])["coverage"] == 0
    assert np.isnan(evaluate_maps([nowhere], truth=[truth()])["epe_median"])
    assert np.isnan(evaluate_maps([nowhere], truth=[nowhere])["pck@4"])
    assert evaluate_maps([], truth=[])["pairs"] == 0


def test_minutiae_confirm_a_right_map():
    rng = np.random.default_rng(0)
    a = np.c_[rng.uniform((20, 40), (80, 100), (12, 2)), rng.uniform(0, 6, 12), np.ones(12)]
    b = a + np.array([10, -4, 0, 0])
    right = evaluate_maps([truth()], minutiae=[(a, b)])
    assert right["confirmed"] == right["oracle"] == right["aligned"] == 1
    assert right["residual"] < 0.03  # OpenCV samples in steps of 1/32 px
    wrong = evaluate_maps([truth((40, 30))], minutiae=[(a, b)])
    assert wrong["confirmed"] < 0.5 and wrong["aligned"] == 0
    assert evaluate_maps([truth()], minutiae=[(a[:, :3], b[:, :3])]) == right


def test_minutiae_are_confirmed_in_px_at_500_ppi():
    """Errors of 12 px at 1000 ppi are 6 px at 500, within the tolerance; 12 px are not."""
    corners = np.array([(25, 45), (75, 45), (25, 95), (75, 95)])
    a = np.c_[corners, np.arange(4) * np.pi / 2, np.ones(4)]
    b = a + np.array([22, -4, 0, 0])
    fine = evaluate_maps([truth()], minutiae=[(a, b)], ppi_a=1000, ppi_b=1000)
    assert fine["confirmed"] == 1 and fine["residual"] == pytest.approx(6, abs=0.05)
    assert evaluate_maps([truth()], minutiae=[(a, b)])["confirmed"] == 0


def test_a_map_that_confirms_nothing_is_not_aligned():
    none = np.zeros((0, 4))
    measured = evaluate_maps([truth()], minutiae=[(none, none)])
    assert (measured["confirmed"], measured["oracle"], measured["aligned"]) == (0, 0, 0)


def test_wrong_arguments():
    pair = (np.zeros((2, 4)), np.zeros((2, 4)))
    for arguments in ({}, {"truth": [truth()], "minutiae": [pair]}):
        with pytest.raises(Misuse, match="one of truth and minutiae"):
            evaluate_maps([truth()], **arguments)
    with pytest.raises(Misuse, match="2 maps, but truth of 1 pairs"):
        evaluate_maps([truth()] * 2, truth=[truth()])
    with pytest.raises(Misuse, match=r"expected both \[H, W, 2\]"):
        evaluate_maps([truth()[1:]], truth=[truth()])
    with pytest.raises(Misuse, match=r"minutiae are an array \[2, 2\]"):
        evaluate_maps([truth()], minutiae=[(pair[0][:, :2], pair[1])])
    for ppi in ([500.0, 500.0], 0.0, float("nan")):
        with pytest.raises(Misuse, match="expected one positive number, or one for each pair"):
            evaluate_maps([truth()], truth=[truth()], ppi_b=ppi)
        with pytest.raises(Misuse, match=r"ppi_a is .* expected one positive number"):
            evaluate_maps([truth()], minutiae=[pair], ppi_a=ppi)
    with pytest.raises(Misuse, match=r"a map is an array \[2, 4\]; expected \[H, W, 2\]"):
        evaluate_maps([pair[0]], minutiae=[pair])
    with pytest.raises(Misuse, match="minutiae of 1 images; expected of A and of B"):
        evaluate_maps([truth()], minutiae=[pair[:1]])
    with pytest.raises(Misuse, match="maps are a generator; expected a list of one per pair"):
        evaluate_maps((m for m in [truth()]), truth=[truth()])
    with pytest.raises(Misuse, match="minutiae of 0 pairs"):
        evaluate_maps([truth()], minutiae=[])
