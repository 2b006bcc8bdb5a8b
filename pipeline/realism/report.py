"""Render the page of a comparison of real and synthetic impressions; it needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.imaging.file import Image
from pipeline.realism import spectra
from pipeline.realism.impression_set import ImpressionSet
from pipeline.realism.measures import MEASURES
from shards.foundation import html


@dataclass(frozen=True)
class ReportParameters:
    """Layout of the page; all values are chosen."""

    colours: tuple[str, str] = ("#1f5fa8", "#d1603d")  # of real and of synthetic impressions
    sheet_rows: int = 8  # real crops in the sheet of nearest neighbours
    neighbours: int = 4  # synthetic crops per row
    gap: int = 6  # px between crops
    figure_size: tuple[float, float] = (12, 7.5)  # inches
    figure_dpi: int = 110  # px per inch
    histogram_bins: int = 40
    histogram_percentiles: tuple[float, float] = (0.5, 99.5)  # of both sets, the plotted range


DEFAULT = ReportParameters()


def render(
    report: dict[str, Any],
    real: ImpressionSet,
    synthetic: ImpressionSet,
    parameters: ReportParameters = DEFAULT,
) -> str:
    """Return the HTML page of a report, with its images in it.

    Args:
        report: of `pipeline.realism.compare.compare`.
        real: the real impressions.
        synthetic: the synthetic impressions.
        parameters: layout of the page.
    """
    sheet = nearest_neighbours(real, synthetic, parameters)
    return html.render(
        Path(__file__).with_name("report.html"),
        title="Real and synthetic impressions",
        report=report,
        charts=_plot_distributions(real, synthetic, parameters),
        sheet=html.embed_image(cv2.imencode(".png", sheet)[1].tobytes()),
    )


def nearest_neighbours(
    real: ImpressionSet, synthetic: ImpressionSet, parameters: ReportParameters = DEFAULT
) -> Image:
    """Return a sheet uint8 [H, W] of real crops, each with the most similar synthetic ones.

    The distance is that of the classifier's features, each divided by its deviation in both sets.
    """
    scale = np.concatenate([real.features, synthetic.features]).std(0) + 1e-9
    crops, others = real.crops, synthetic.crops
    rows = []
    for k in np.linspace(0, len(crops) - 1, min(parameters.sheet_rows, len(crops))).astype(int):
        distances = np.linalg.norm((synthetic.features - real.features[k]) / scale, axis=1)
        nearest = [others[j] for j in np.argsort(distances)[: parameters.neighbours]]
        rows.append(_join_crops(crops[k], nearest, parameters.gap))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1])), constant_values=255) for row in rows]
    return np.concatenate(padded)


def _join_crops(crop: Image, others: list[Image], gap: int) -> Image:
    """Join a real crop and synthetic ones from left to right, with a double gap after the first."""
    tiles = [np.pad(tile, gap // 2, constant_values=255) for tile in [crop, *others]]
    tiles.insert(1, np.full((spectra.DEFAULT.crop + gap, gap), 255, np.uint8))
    return np.concatenate(tiles, 1)


def _plot_distributions(
    real: ImpressionSet, synthetic: ImpressionSet, parameters: ReportParameters
) -> str:
    """Return a data URL of the histograms of all measures and of the power spectra."""
    size, dpi = parameters.figure_size, parameters.figure_dpi
    figure = Figure(figsize=size, dpi=dpi, layout="constrained")
    panels = figure.subplots(3, 4).ravel()
    for axes, name in zip(panels, MEASURES, strict=False):
        _plot_histograms(axes, name, real.values(name), synthetic.values(name), parameters)
    _plot_spectra(panels[len(MEASURES)], real, synthetic, parameters)
    panels[-1].set_visible(False)
    panels[0].legend(["real", "synthetic"], frameon=False)
    for axes in panels:
        html.style_axes(axes)
    return html.embed_figure(figure)


def _plot_spectra(
    axes: Axes, real: ImpressionSet, synthetic: ImpressionSet, parameters: ReportParameters
) -> None:
    bins = spectra.DEFAULT.bins
    frequency = (np.arange(bins) + 0.5) / (2 * bins)
    for impressions, colour in zip((real, synthetic), parameters.colours, strict=True):
        axes.plot(frequency, impressions.mean_spectrum(), color=colour)
    axes.set(title="power spectrum, dB", xlabel="cycles per px")


def _plot_histograms(
    axes: Axes, name: str, real: np.ndarray, synthetic: np.ndarray, parameters: ReportParameters
) -> None:
    axes.set(title=name, yticks=[])
    if not len(real) or not len(synthetic):
        return
    values = np.concatenate([real, synthetic])
    low, high = np.percentile(values, parameters.histogram_percentiles)
    count = parameters.histogram_bins + 1
    edges = np.linspace(low, max(high, low + 1e-6), count).tolist()
    for one, colour in zip((real, synthetic), parameters.colours, strict=True):
        axes.hist(one, edges, density=True, histtype="step", color=colour)
