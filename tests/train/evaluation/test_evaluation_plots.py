"""Contents of the plots of evaluations: colours, intervals, methods without errors."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from train.evaluation import colours, pair_plots, score_curves, strata
from train.evaluation.crop_methods import NETWORK, REGISTERED, SMOOTH
from train.evaluation.file_methods import PHASE, SIFT

METHODS = (NETWORK, SMOOTH, REGISTERED, SIFT, PHASE)
METRICS = {"pairs": 9, "pck@4": 0.8, "pck@4_low": 0.7, "pck@4_high": 0.9, "precision": 0.5,
           "recall": 0.5}  # fmt: skip


def summary(methods=METHODS):
    names = [f"{condition} {k}" for condition in strata.CONDITIONS for k in range(3)]
    return {
        "methods": {m: dict.fromkeys(("all", *names), METRICS) for m in methods},
        "precision_recall": [{"recall": 0.2, "precision": 0.9}],
        "reliability": [{"confidence": 0.5, "right": 0.4}],
    }


def test_a_method_has_one_colour_in_every_plot():
    conditions = pair_plots.plot_conditions(summary()).get_axes()[0]
    shown = {line.get_label(): to_hex(line.get_color()) for line in conditions.get_lines()}
    genuine = np.arange(20) < 10
    scores = {method: np.arange(20.0)[::-1] for method in reversed(METHODS)}
    det = score_curves.plot(scores, genuine).get_axes()[0]
    in_det = {
        line.get_label().split(" (EER")[0].split(" (no")[0]: to_hex(line.get_color())
        for line in det.get_lines()
    }
    for method in METHODS:
        assert shown[method] == in_det[method] == colours.METHODS[method]
    assert len(set(colours.METHODS.values())) == len(METHODS)
    others = colours.method_colours(["x", NETWORK, "y"])
    assert len(set(others.values())) == 3 and others[NETWORK] == colours.METHODS[NETWORK]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_points_stand_on_their_interval_bars(count):
    for axes in pair_plots.plot_conditions(summary(METHODS[:count])).get_axes()[:4]:
        for line, bars in zip(axes.get_lines(), axes.collections, strict=True):
            for (x, y), bar in zip(line.get_xydata(), bars.get_segments(), strict=True):
                assert (bar[:, 0] == x).all()
                assert bar[:, 1].min() <= y <= bar[:, 1].max()


def test_a_method_without_errors_is_visible():
    """Its curve runs along the frame and its dot lies in the corner; neither is cut off."""
    genuine = np.arange(40) < 20
    figure = score_curves.plot({NETWORK: genuine.astype(float), SIFT: np.arange(40.0)}, genuine)
    axes = figure.get_axes()[0]
    lines = [
        line for line in axes.get_lines() if to_hex(line.get_color()) == colours.METHODS[NETWORK]
    ]
    curve, dot = lines
    lowest = score_curves.DEFAULT.lowest_rate
    assert f"{NETWORK} (no error)" in [text.get_text() for text in axes.get_legend().get_texts()]
    assert not curve.get_clip_on() and not dot.get_clip_on()
    assert dot.get_xydata().tolist() == [[lowest, lowest]] and dot.get_marker() == "o"
