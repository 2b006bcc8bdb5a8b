"""The page on a comparison of real and synthetic prints; opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.imaging.foreground import Image
from pipeline.realism.measures import BINS, CROP, MEASURES
from pipeline.realism.print_set import Side, mean_spectrum, pooled
from shards.foundation import html

COLOURS = ("#1f5fa8", "#d1603d")  # real, synthetic
ROWS, NEIGHBOURS = 8, 4  # of the sheet: real crops, and the synthetic ones nearest to each
GAP = 6  # px


def render(report: dict[str, Any], real: Side, synthetic: Side) -> str:
    """The page of `report` (see `pipeline.realism.compare.compare`), HTML with its pictures in it."""
    sheet = cv2.imencode(".png", neighbours(real, synthetic))[1].tobytes()
    return html.render(
        Path(__file__).with_name("report.html"),
        title="Real and synthetic prints",
        report=report,
        charts=_charts(real, synthetic),
        sheet=html.embed_image(sheet),
    )


def neighbours(real: Side, synthetic: Side) -> Image:
    """Real crops, evenly chosen, at the left; right of each the synthetic ones nearest to it.

    Near by the classifier's features, each divided by its deviation over both sides.
    """
    scale = np.concatenate([real.features, synthetic.features]).std(0) + 1e-9
    crops, others = real.crops, synthetic.crops
    rows = []
    for k in np.linspace(0, len(crops) - 1, min(ROWS, len(crops))).astype(int):
        far = np.linalg.norm((synthetic.features - real.features[k]) / scale, axis=1)
        near = [others[j] for j in np.argsort(far)[:NEIGHBOURS]]
        tiles = [np.pad(tile, GAP // 2, constant_values=255) for tile in [crops[k], *near]]
        tiles.insert(1, np.full((CROP + GAP, GAP), 255, np.uint8))
        rows.append(np.concatenate(tiles, 1))
    width = max(row.shape[1] for row in rows)
    return np.concatenate(
        [np.pad(row, ((0, 0), (0, width - row.shape[1])), constant_values=255) for row in rows]
    )


def _charts(real: Side, synthetic: Side) -> str:
    """A panel a measure, and one of the power spectrum."""
    figure = Figure(figsize=(12, 7.5), dpi=110, layout="constrained")
    panels = figure.subplots(3, 4).ravel()
    for axes, name in zip(panels, MEASURES, strict=False):
        _histograms(axes, name, real, synthetic)
    at = (np.arange(BINS) + 0.5) / (2 * BINS)
    axes = panels[len(MEASURES)]
    for side, colour in zip((real, synthetic), COLOURS, strict=True):
        axes.plot(at, mean_spectrum(side), color=colour)
    axes.set(title="power spectrum, dB", xlabel="cycles a px")
    panels[-1].set_visible(False)
    panels[0].legend(["real", "synthetic"], frameon=False)
    for axes in panels:
        html.style_axes(axes)
    return html.embed_figure(figure)


def _histograms(axes: Axes, name: str, real: Side, synthetic: Side) -> None:
    sides = [pooled(side, name) for side in (real, synthetic)]
    axes.set(title=name, yticks=[])
    if not all(map(len, sides)):
        return
    low, high = np.percentile(np.concatenate(sides), [0.5, 99.5])
    bins = np.linspace(low, max(high, low + 1e-6), 41).tolist()
    for values, colour in zip(sides, COLOURS, strict=True):
        axes.hist(values, bins, density=True, histtype="step", color=colour)
