"""A registration as a picture that a person can judge at a glance."""

from __future__ import annotations

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
from shards.foundation.errors import Fault

RED, BLUE = np.array([0.84, 0.19, 0.15]), np.array([0.13, 0.40, 0.67])  # ridges of A, of B
LINES = 150  # matches drawn at most: more cannot be told apart
GRID = 20  # lines of the deformation grid along A's longer side
# without their lightest colours, which paper swallows
COLOURS = ListedColormap(colormaps["viridis"](np.linspace(0, 0.88, 256)))
AWAY = ListedColormap(colormaps["plasma"](np.linspace(0.85, 0, 256)))
PALE, PALEST = 120, 185  # the darkest grey of a print below matches, below a grid
SPACE = 0.04  # of A's width, between the two prints

Colour = NDArray[np.uint8]  # [H, W, 3], red green blue
Grey = NDArray[np.uint8]  # [H, W], dark ridges


def save_plot(image_a: Grey, image_b: Grey, found: Registration, path: Path) -> None:
    """Write the picture of a registration as PNG; see `plot_registration`. Fault where it cannot be."""
    figure = plot_registration(image_a, image_b, found)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png")
    except OSError as error:
        raise Fault(f"{path}: cannot be written: {error.strerror}") from error


def plot_registration(image_a: Grey, image_b: Grey, found: Registration) -> Figure:
    """Matches, ridges before and after, deformation grid, figures; of images as stored."""
    figure = Figure(figsize=(12, 9.2), dpi=110, layout="constrained", facecolor="white")
    rows = figure.add_gridspec(2, 1, height_ratios=[1.1, 1])
    top, bottom = (figure.add_subfigure(row) for row in (rows[0], rows[1]))
    figure.suptitle(_figures(found), fontsize=13)
    plot_matches(top.subplots(), image_a, image_b, found.matches)
    before, after, grid = bottom.subplots(1, 3)
    before.imshow(overlay(image_a, _placed(image_b, image_a.shape)))
    before.set_title("Ridges before: A red, B blue", fontsize=11)
    after.imshow(overlay(image_a, resample_onto_a(image_b, found.map_ab)))
    after.set_title("Ridges after: dark where both lie", fontsize=11)
    plot_grid(grid, image_b, found.map_ab)
    grid.set_title("A's grid as the map lays it on B (thin: unbent)", fontsize=11)
    for axes in (before, after, grid):
        axes.set_axis_off()
    return figure


def resample_onto_a(image_b: Grey, map_ab: NDArray[np.float32]) -> NDArray[np.float32]:
    """B as A would show it: float32 [H_a, W_a] of grey values, NaN where nothing corresponds."""
    seen = np.isfinite(map_ab[..., 0])
    place = np.where(seen[..., None], map_ab, -1).astype(np.float32)
    x, y = np.moveaxis(place, -1, 0)
    carried = cv2.remap(image_b, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(seen, carried, np.nan).astype(np.float32)


def ridge_ink(image: NDArray) -> NDArray[np.float32]:
    """How much of a ridge there is, [H, W] in [0, 1], by the tone and contrast around."""
    known = np.isfinite(image).astype(np.float32)
    grey = np.nan_to_num(np.asarray(image, np.float32))
    sigma = max(image.shape) / 50  # px, about a ridge period of a whole print
    share = np.maximum(cv2.GaussianBlur(known, (0, 0), sigma), 1e-3)

    def around(values: NDArray) -> NDArray:
        return cv2.GaussianBlur(values * known, (0, 0), sigma) / share

    darker = around(grey) - grey
    contrast = np.sqrt(around(darker**2)) + 1
    strong = np.percentile(contrast[known > 0], 75) if known.any() else 1.0
    on_finger = np.clip(2.5 * contrast / strong - 1, 0, 1)  # else paper would show its grain
    return np.clip(0.15 + 0.85 * darker / contrast, 0, 1) * on_finger * known


def overlay(image_a: Grey, carried: NDArray[np.float32]) -> Colour:
    """Ridges of A in red and of B in blue on white; where they coincide, dark."""
    white = np.ones(3)
    a, b = ridge_ink(image_a)[..., None], ridge_ink(carried)[..., None]
    shown = (1 - a * (white - RED)) * (1 - b * (white - BLUE))
    return np.round(255 * shown).astype(np.uint8)


def plot_grid(axes: Axes, image_b: Grey, map_ab: NDArray[np.float32]) -> None:
    """Where the map takes a regular grid of A on B, coloured by its way off the nearest similarity.

    That similarity's own grid lies below in grey: between both is what skin has been stretched.
    """
    axes.imshow(_pale(image_b, PALEST), cmap="gray", vmin=0, vmax=255)
    step = max(4, round(max(map_ab.shape[:2]) / GRID))
    y, x = np.nonzero(np.isfinite(map_ab[::4, ::4, 0]))
    if len(y) < 2:
        return
    to_b = np.polyfit(4 * (x + 1j * y), map_ab[4 * y, 4 * x] @ np.array([1, 1j]), 1)
    rows, columns = np.indices(map_ab.shape[:2])
    place, stiff = map_ab @ np.array([1, 1j]), np.polyval(to_b, columns + 1j * rows)
    ends = [_grid_lines(field, step) for field in (place, stiff)]
    seen = np.isfinite(ends[0]).all(1)
    off = np.abs(ends[0] - ends[1]).mean(1)[seen]
    grey, bent = (np.stack([z.real, z.imag], -1) for z in (ends[1][seen], ends[0][seen]))
    axes.add_collection(LineCollection(list(grey), linewidths=0.8, colors="#444444"))
    drawn = LineCollection(list(bent), linewidths=1.6, cmap=AWAY)
    drawn.set_array(off)
    drawn.set_clim(0, max(2.0, float(np.percentile(off, 99))))
    axes.add_collection(drawn)
    axes.figure.colorbar(
        drawn, ax=axes, label="px off a turn, shift and scale", shrink=0.8, pad=0.02
    )


def plot_matches(axes: Axes, image_a: Grey, image_b: Grey, matches: NDArray[np.float32]) -> None:
    """Both prints side by side, lines between matches [K, 5] coloured by confidence."""
    gap = round(SPACE * image_a.shape[1])
    shift = image_a.shape[1] + gap
    height = max(len(image_a), len(image_b))
    both = np.full((height, shift + image_b.shape[1]), 255, np.uint8)
    both[: len(image_a), : image_a.shape[1]] = _pale(image_a, PALE)
    both[: len(image_b), shift:] = _pale(image_b, PALE)
    axes.imshow(both, cmap="gray", vmin=0, vmax=255)
    axes.set_axis_off()
    chosen = matches[np.linspace(0, len(matches) - 1, min(len(matches), LINES)).astype(int)]
    chosen = chosen[np.argsort(chosen[:, 4])]
    ends = chosen[:, :4].reshape(-1, 2, 2) + np.array([[0, 0], [shift, 0]])
    lines = LineCollection(list(ends), linewidths=0.8, alpha=0.8, cmap=COLOURS)
    lines.set_array(chosen[:, 4])
    lines.set_clim(0, 1)
    axes.add_collection(lines)
    for end in (0, 1):
        x, y = ends[:, end].T
        axes.scatter(x, y, c=chosen[:, 4], s=7, cmap=COLOURS, vmin=0, vmax=1)
    axes.figure.colorbar(lines, ax=axes, label="confidence", shrink=0.7, pad=0.01)


def _grid_lines(field: NDArray, step: int) -> NDArray:
    """The pieces [K, 2], from px to px, of every `step`-th row and column of a field [H, W]."""
    rows, columns = field[step // 2 :: step], field[:, step // 2 :: step].T
    pieces = [
        np.stack([lines[:, :-1], lines[:, 1:]], -1).reshape(-1, 2) for lines in (rows, columns)
    ]
    return np.concatenate(pieces)


def _pale(image: Grey, darkest: int) -> Grey:
    """The image with its contrast spread between a grey and white, for lines to stand out on it."""
    low, high = np.percentile(image, (1, 99))
    spread = np.clip((image - low) / max(high - low, 1), 0, 1)
    return np.round(darkest + (255 - darkest) * spread).astype(np.uint8)


def _placed(image_b: Grey, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """B laid on A's frame as it is, the top-left corners together."""
    placed = np.full(shape, np.nan, np.float32)
    height, width = (min(n, m) for n, m in zip(shape, image_b.shape, strict=True))
    placed[:height, :width] = image_b[:height, :width]
    return placed


def _figures(found: Registration) -> str:
    """The line above the picture."""
    if not len(found.matches):
        return f"{found.score_text}: no common region found"
    share = np.isfinite(found.map_ab[..., 0]).mean()
    return (
        f"{found.score_text}   {len(found.matches)} matches"
        f"   turned by {np.degrees(found.angle):+.1f}°   {share:.0%} of A's frame mapped"
    )
