"""Plot a registration: matches, ridges before and after, and the deformation."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model.registration.result import Registration
from shards.foundation import files

# Without their lightest colours, which are invisible on white.
CONFIDENCE_COLOURS = ListedColormap(colormaps["viridis"](np.linspace(0, 0.88, 256)))
DISTANCE_COLOURS = ListedColormap(colormaps["plasma"](np.linspace(0.85, 0, 256)))

Rgb = tuple[float, float, float]
ColourImage = NDArray[np.uint8]  # [H, W, 3], red green blue
GreyImage = NDArray[np.uint8]  # [H, W], dark ridges


@dataclass(frozen=True)
class PlotParameters:
    """Appearance of the plots. All are chosen."""

    ridges_a: Rgb = (0.84, 0.19, 0.15)  # red
    ridges_b: Rgb = (0.13, 0.40, 0.67)  # blue
    most_matches: int = 150  # more lines cannot be told apart
    grid_lines: int = 20  # of the deformation grid, along the longer side of A
    sample_step: int = 4  # px between the points to which the nearest similarity is fitted
    matches_grey: int = 120  # darkest grey of an impression below matches
    grid_grey: int = 185  # darkest grey of an impression below the grid
    gap: float = 0.04  # between two impressions, in widths of A
    least_distance_limit: float = 2.0  # px, upper end of the distance colours at least


@dataclass(frozen=True)
class InkParameters:
    """Parameters of `ridge_ink`. All are chosen."""

    window: float = 1 / 50  # standard deviation, in sides of the image: about a ridge period
    finger_percentile: float = 75.0  # of the contrast, by which the finger is told from background
    finger_gain: float = 2.5  # of the contrast over that percentile
    offset: float = 0.15  # ink at the local mean of the grey levels


PLOT, INK = PlotParameters(), InkParameters()


def save_plot(
    image_a: GreyImage, image_b: GreyImage, registration: Registration, path: Path
) -> None:
    """Write the plot of a registration as PNG; Fault where the file cannot be written."""
    figure = plot_registration(image_a, image_b, registration)
    data = io.BytesIO()
    figure.savefig(data, format="png")
    files.write_bytes(path, data.getvalue(), follow_links=True)


def plot_registration(image_a: GreyImage, image_b: GreyImage, registration: Registration) -> Figure:
    """Plot the matches, the ridges before and after registration, and the deformation grid.

    Args:
        image_a, image_b: uint8 [H, W], as in the files.
        registration: of both.
    """
    figure = Figure(figsize=(12, 9.2), dpi=110, layout="constrained", facecolor="white")
    rows = figure.add_gridspec(2, 1, height_ratios=[1.1, 1])
    top, bottom = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    figure.suptitle(_title(registration), fontsize=13)
    matches = top.subplots()
    plot_matches(matches, image_a, image_b, registration.matches)
    a, b = registration.resolutions
    matches.set_title(f"A: {a}\nB: {b}", fontsize=9)
    before, after, grid = bottom.subplots(1, 3)
    before.imshow(overlay(image_a, _paste(image_b, image_a.shape)))
    before.set_title("Ridges before: A red, B blue", fontsize=11)
    after.imshow(overlay(image_a, resample_onto_a(image_b, registration.map_ab)))
    after.set_title("Ridges after: dark where both coincide", fontsize=11)
    plot_grid(grid, image_b, registration.map_ab)
    grid.set_title("A grid of A mapped onto B (thin: rigid)", fontsize=11)
    for axes in (before, after, grid):
        axes.set_axis_off()
    return figure


def resample_onto_a(image_b: GreyImage, map_ab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Resample B into the frame of A: float32 [H_a, W_a], NaN where nothing corresponds."""
    valid = np.isfinite(map_ab[..., 0])
    x, y = np.moveaxis(np.where(valid[..., None], map_ab, -1).astype(np.float32), -1, 0)
    resampled = cv2.remap(image_b, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(valid, resampled, np.nan).astype(np.float32)


def ridge_ink(image: NDArray, parameters: InkParameters = INK) -> NDArray[np.float32]:
    """Return the amount of ridge, [H, W] in [0, 1], relative to the local tone and contrast.

    NaN in the image counts as background, whose grain is not shown.
    """
    valid = np.isfinite(image).astype(np.float32)
    grey = np.nan_to_num(np.asarray(image, np.float32))
    deviation = max(image.shape) * parameters.window
    share = np.maximum(cv2.GaussianBlur(valid, (0, 0), deviation), 1e-3)

    def local_mean(values: NDArray) -> NDArray:
        return cv2.GaussianBlur(values * valid, (0, 0), deviation) / share

    darkness = local_mean(grey) - grey
    contrast = np.sqrt(local_mean(darkness**2)) + 1
    high = np.percentile(contrast[valid > 0], parameters.finger_percentile) if valid.any() else 1.0
    finger = np.clip(parameters.finger_gain * contrast / high - 1, 0, 1)
    ink = np.clip(parameters.offset + (1 - parameters.offset) * darkness / contrast, 0, 1)
    return ink * finger * valid


def overlay(image_a: GreyImage, image_b: NDArray[np.float32]) -> ColourImage:
    """Plot ridges of A in red and of B in blue on white; dark where they coincide.

    Args:
        image_a: [H, W].
        image_b: [H, W], B in the frame of A.
    """
    ink_a, ink_b = ridge_ink(image_a)[..., None], ridge_ink(image_b)[..., None]
    white = np.ones(3)
    shown_a = 1 - ink_a * (white - np.array(PLOT.ridges_a))
    shown_b = 1 - ink_b * (white - np.array(PLOT.ridges_b))
    return np.round(255 * shown_a * shown_b).astype(np.uint8)


def plot_matches(
    axes: Axes, image_a: GreyImage, image_b: GreyImage, matches: NDArray[np.float32]
) -> None:
    """Plot both impressions side by side, with lines between matches [K, 5] by confidence."""
    shift = image_a.shape[1] + round(PLOT.gap * image_a.shape[1])
    height = max(len(image_a), len(image_b))
    canvas = np.full((height, shift + image_b.shape[1]), 255, np.uint8)
    canvas[: len(image_a), : image_a.shape[1]] = _brighten(image_a, PLOT.matches_grey)
    canvas[: len(image_b), shift:] = _brighten(image_b, PLOT.matches_grey)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=255)
    axes.set_axis_off()
    count = min(len(matches), PLOT.most_matches)
    shown = matches[np.linspace(0, len(matches) - 1, count).astype(int)]
    shown = shown[np.argsort(shown[:, 4])]
    ends = shown[:, :4].reshape(-1, 2, 2) + np.array([[0, 0], [shift, 0]])
    lines = LineCollection(list(ends), linewidths=0.8, alpha=0.8, cmap=CONFIDENCE_COLOURS)
    lines.set_array(shown[:, 4])
    lines.set_clim(0, 1)
    axes.add_collection(lines)
    for end in (0, 1):
        x, y = ends[:, end].T
        axes.scatter(x, y, c=shown[:, 4], s=7, cmap=CONFIDENCE_COLOURS, vmin=0, vmax=1)
    axes.figure.colorbar(lines, ax=axes, label="confidence", shrink=0.7, pad=0.01)


def plot_grid(axes: Axes, image_b: GreyImage, map_ab: NDArray[np.float32]) -> None:
    """Plot a regular grid of A mapped onto B, coloured by its distance from the nearest similarity.

    The grid mapped by that similarity transform lies below in grey: the difference of both is the
    distortion of the skin.
    """
    axes.imshow(_brighten(image_b, PLOT.grid_grey), cmap="gray", vmin=0, vmax=255)
    spacing = max(4, round(max(map_ab.shape[:2]) / PLOT.grid_lines))
    mapped = map_ab @ np.array([1, 1j])  # complex numbers x + iy
    similar = _nearest_similarity(mapped)
    if similar is None:
        return
    segments, rigid_segments = _grid_segments(mapped, spacing), _grid_segments(similar, spacing)
    valid = np.isfinite(segments).all(1)
    segments, rigid_segments = segments[valid], rigid_segments[valid]
    distance = np.abs(segments - rigid_segments).mean(1)
    rigid_lines = list(np.stack([rigid_segments.real, rigid_segments.imag], -1))
    axes.add_collection(LineCollection(rigid_lines, linewidths=0.8, colors="#444444"))
    mapped_lines = list(np.stack([segments.real, segments.imag], -1))
    lines = LineCollection(mapped_lines, linewidths=1.6, cmap=DISTANCE_COLOURS)
    lines.set_array(distance)
    lines.set_clim(0, max(PLOT.least_distance_limit, float(np.percentile(distance, 99))))
    axes.add_collection(lines)
    label = "px from rotation, shift and scale"
    axes.figure.colorbar(lines, ax=axes, label=label, shrink=0.8, pad=0.02)


def _nearest_similarity(mapped: NDArray) -> NDArray | None:
    """Return the similarity nearest to a complex map [H, W], at its pixels; None without map."""
    step = PLOT.sample_step
    y, x = np.nonzero(np.isfinite(mapped.real[::step, ::step]))
    if len(y) < 2:
        return None
    y, x = step * y, step * x
    coefficients = np.polyfit(x + 1j * y, mapped[y, x], 1)
    rows, columns = np.indices(mapped.shape)
    return np.polyval(coefficients, columns + 1j * rows)


def _grid_segments(field: NDArray, spacing: int) -> NDArray:
    """Return the segments [K, 2], pixel to pixel, of rows and columns of a field [H, W]."""
    rows, columns = field[spacing // 2 :: spacing], field[:, spacing // 2 :: spacing].T
    segments = [
        np.stack([lines[:, :-1], lines[:, 1:]], -1).reshape(-1, 2) for lines in (rows, columns)
    ]
    return np.concatenate(segments)


def _brighten(image: GreyImage, darkest: int) -> GreyImage:
    """Map the grey levels to `darkest` … white, so that lines are visible on the image."""
    low, high = np.percentile(image, (1, 99))
    spread = np.clip((image - low) / max(high - low, 1), 0, 1)
    return np.round(darkest + (255 - darkest) * spread).astype(np.uint8)


def _paste(image_b: GreyImage, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Place B unchanged into a frame of A's `shape`, with the top-left corners together."""
    pasted = np.full(shape, np.nan, np.float32)
    height, width = min(shape[0], image_b.shape[0]), min(shape[1], image_b.shape[1])
    pasted[:height, :width] = image_b[:height, :width]
    return pasted


def _title(registration: Registration) -> str:
    """Return the line above the plot."""
    if not len(registration.matches):
        return f"{registration.score_text}: no common region found"
    return (
        f"{registration.score_text}   {len(registration.matches)} matches"
        f"   rotated by {np.degrees(registration.angle):+.1f}°"
        f"   {registration.mapped_share:.0%} of A's frame mapped"
    )
