"""Plot a registration: matches, ridges before and after, and the deformation."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model.registration import plain_words
from model.registration.dense_map import resample_onto_a
from model.registration.distortion import (
    TO_COMPLEX,
    distance_limit,
    grid_spacing,
    nearest_similarity,
)
from model.registration.overlay import (
    UNKNOWN,
    ColourImage,
    Foregrounds,
    GreyImage,
    Mask,
    even_contrast,
    overlay,
    with_polarity_of_a,
)
from model.registration.result import Registration
from pipeline.imaging.warp import pixel_grid
from shards.foundation import files

# Without their lightest colours, which are invisible on white.
CONFIDENCE_COLOURS = ListedColormap(colormaps["viridis"](np.linspace(0, 0.88, 256)))
DISTANCE_COLOURS = ListedColormap(colormaps["plasma"](np.linspace(0.85, 0, 256)))


@dataclass(frozen=True)
class PlotParameters:
    """Appearance of the plots. All are chosen."""

    most_matches: int = 150  # more lines cannot be told apart
    matches_grey: int = 120  # darkest grey of an impression below matches
    grid_grey: int = 185  # darkest grey of an impression below the grid
    gap: float = 0.04  # between two impressions, in widths of A
    label_size: float = 12.0  # points, of the letters A and B
    title_width: int = 115  # characters in a line


PLOT = PlotParameters()


def save_plot(
    image_a: GreyImage,
    image_b: GreyImage,
    registration: Registration,
    path: Path,
    fingers: Foregrounds = UNKNOWN,
) -> None:
    """Write `plot_registration` as PNG; Fault where the file cannot be written."""
    figure = plot_registration(image_a, image_b, registration, fingers)
    data = io.BytesIO()
    figure.savefig(data, format="png")
    files.write_bytes(path, data.getvalue(), follow_links=True)


def plot_registration(
    image_a: GreyImage,
    image_b: GreyImage,
    registration: Registration,
    fingers: Foregrounds = UNKNOWN,
) -> Figure:
    """Plot the matches, the ridges before and after registration, and the deformation grid.

    Without a map there are no ridges after and no grid; the title says why.

    Args:
        image_a, image_b: uint8 [H, W], as in the files.
        registration: of both.
        fingers: their foregrounds, bool [H, W], outside of which no ridges are shown.
    """
    figure = Figure(figsize=(12, 9.2), dpi=110, layout="constrained", facecolor="white")
    rows = figure.add_gridspec(2, 1, height_ratios=[1.1, 1])
    top, bottom = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    title = textwrap.fill("   ".join(plain_words.summary(registration)), PLOT.title_width)
    figure.suptitle(title, fontsize=13)
    image_b = with_polarity_of_a(image_b, registration.opposite_polarity)
    matches = top.subplots()
    plot_matches(matches, image_a, image_b, registration.matches, fingers)
    a, b = registration.resolutions
    matches.set_title(f"A: {a}\nB: {b}", fontsize=9)
    before, after, grid = bottom.subplots(1, 3)
    before.imshow(_overlay_unregistered(image_a, image_b, fingers, b.ppi / a.ppi))
    before.set_title("Ridges before: A red, B blue", fontsize=11)
    if registration.mapped_share:
        mapped = np.isfinite(registration.map_ab[..., 0])
        onto_a = resample_onto_a(image_b, registration.map_ab)
        after.imshow(overlay(image_a, onto_a, fingers[0], mapped))
        after.set_title("Ridges after: dark where both coincide", fontsize=11)
        plot_grid(grid, image_b, registration.map_ab, fingers[1])
        grid.set_title("B with a grid of A (thin: rigid)", fontsize=11)
    else:
        after.text(0.5, 0.5, "no map", ha="center", va="center", fontsize=13)
    for axes in (before, after, grid):
        axes.set_axis_off()
    return figure


def plot_matches(
    axes: Axes,
    image_a: GreyImage,
    image_b: GreyImage,
    matches: NDArray[np.float32],
    fingers: Foregrounds = UNKNOWN,
) -> None:
    """Plot both impressions side by side, with lines between matches [K, 5] by probability."""
    shift = image_a.shape[1] + round(PLOT.gap * image_a.shape[1])
    height = max(len(image_a), len(image_b))
    canvas = np.full((height, shift + image_b.shape[1]), 255, np.uint8)
    canvas[: len(image_a), : image_a.shape[1]] = even_contrast(
        image_a, fingers[0], PLOT.matches_grey
    )
    canvas[: len(image_b), shift:] = even_contrast(image_b, fingers[1], PLOT.matches_grey)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=255)
    for letter, left in (("A", 0), ("B", shift)):
        axes.annotate(
            letter, (left, 0), (4, -4), textcoords="offset points", va="top",
            fontsize=PLOT.label_size, fontweight="bold",
        )  # fmt: skip
    axes.set_axis_off()
    if not len(matches):
        return
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
    axes.figure.colorbar(lines, ax=axes, label="probability of a match", shrink=0.7, pad=0.01)


def plot_grid(
    axes: Axes, image_b: GreyImage, map_ab: NDArray[np.float32], finger_b: Mask | None = None
) -> None:
    """Plot a regular grid of A mapped onto B, coloured by its distance from the nearest similarity.

    The grid mapped by that similarity transform lies below in grey: the difference of both is the
    distortion of the skin.
    """
    axes.imshow(even_contrast(image_b, finger_b, PLOT.grid_grey), cmap="gray", vmin=0, vmax=255)
    spacing = grid_spacing(map_ab.shape)
    mapped = map_ab @ TO_COMPLEX
    similarity = nearest_similarity(map_ab)
    if similarity is None:
        return
    rows, columns = np.indices(mapped.shape)
    similar = similarity(columns + 1j * rows)
    segments, rigid_segments = _grid_segments(mapped, spacing), _grid_segments(similar, spacing)
    valid = np.isfinite(segments).all(1)
    segments, rigid_segments = segments[valid], rigid_segments[valid]
    distance = np.abs(segments - rigid_segments).mean(1)
    rigid_lines = list(np.stack([rigid_segments.real, rigid_segments.imag], -1))
    axes.add_collection(LineCollection(rigid_lines, linewidths=0.8, colors="#444444"))
    mapped_lines = list(np.stack([segments.real, segments.imag], -1))
    lines = LineCollection(mapped_lines, linewidths=1.6, cmap=DISTANCE_COLOURS)
    lines.set_array(distance)
    lines.set_clim(0, distance_limit(similarity.distances))
    axes.add_collection(lines)
    label = "px from rotation, shift and scale"
    axes.figure.colorbar(lines, ax=axes, label=label, shrink=0.8, pad=0.02)


def _grid_segments(field: NDArray, spacing: int) -> NDArray:
    """Return the segments [K, 2], pixel to pixel, of rows and columns of a field [H, W]."""
    rows, columns = field[spacing // 2 :: spacing], field[:, spacing // 2 :: spacing].T
    segments = [
        np.stack([lines[:, :-1], lines[:, 1:]], -1).reshape(-1, 2) for lines in (rows, columns)
    ]
    return np.concatenate(segments)


def _overlay_unregistered(
    image_a: GreyImage, image_b: GreyImage, fingers: Foregrounds, px_b: float
) -> ColourImage:
    """Plot the ridges of A and of B with the top-left corners of both files together.

    A px of A is as wide as `px_b` px of B.
    """
    finger_a, finger_b = fingers
    pasted = _paste(image_b, image_a.shape, px_b)
    if finger_b is not None:
        finger_b = _paste(finger_b.astype(np.uint8), image_a.shape, px_b) > 0
    return overlay(image_a, pasted, finger_a, finger_b)


def _paste(image_b: GreyImage, shape: tuple[int, ...], px_b: float) -> NDArray[np.float32]:
    """Resample B, `px_b` px for one, into a frame of A's `shape`, top-left corners together."""
    height, width = shape
    positions = pixel_grid(height, width, px_b).astype(np.float32)
    positions[(positions > np.array(image_b.shape)[::-1] - 0.5).any(-1)] = np.nan
    return resample_onto_a(image_b, positions)
