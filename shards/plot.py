"""Plot a pair and its correspondences.

A pair has three panels: A with a grid; B with the same grid deformed by the map, both with the
same numbered points; and a chequerboard of A and of B resampled into the frame of A. Where the map
is correct, ridges continue across the borders of the squares.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from shards.record import Pair
from shards.verify.dense_map import resample, upsample_map

Colour = tuple[int, int, int]  # blue, green, red
Picture = NDArray[np.uint8]  # [h, w, 3], blue, green, red

FONT = cv2.FONT_HERSHEY_SIMPLEX
SUBPIXEL_BITS = 4  # of positions that OpenCV gets as integers
SUBPIXELS = 1 << SUBPIXEL_BITS


@dataclass(frozen=True)
class PlotParameters:
    """Layout of a pair and of a sheet; lengths in px of the picture. All chosen by eye."""

    scale: int = 2  # px of the picture per px of an image
    columns: int = 2  # pairs side by side
    gap: int = 6  # between panels
    head: int = 34  # height of the text above a pair
    border: tuple[int, int] = (4, 8)  # around a pair: above and below, left and right
    lines: int = 8  # of the grid, in each direction
    points: int = 4  # numbered points along each side
    squares: int = 8  # of the chequerboard along a side
    contrast_window: float = 1 / 20  # in sides of the image: deviation of a window, 1.5 ridges
    contrast_floor: float = 8.0  # grey levels added to the contrast, so that flat areas stay flat
    flat: float = 0.85  # lightness of flat areas; ridges of the usual contrast become black
    darkest: int = 80  # grey level of black ridges, on which lines can be seen
    empty: int = 235  # grey level of pixels without correspondence
    title_size: float = 0.45  # of OpenCV's font, as the other sizes
    text_size: float = 0.33
    number_size: float = 0.38
    disk_radius: int = 4  # of a numbered point
    row_hue_range: tuple[float, float] = (0.02, 0.15)  # first and last row; red to yellow
    column_hue_range: tuple[float, float] = (0.5, 0.7)  # first and last column; cyan to blue
    brightness: float = 0.85  # of lines and points, in [0, 1]
    text: Colour = (90, 90, 90)
    genuine: Colour = (60, 130, 20)
    genuine_impressions: Colour = (150, 90, 0)
    impostor: Colour = (40, 40, 200)

    def colour(self, kind: str) -> Colour:
        """Return the colour of the title of pairs of a kind."""
        colour: Colour = getattr(self, kind.replace("-", "_"))
        return colour


DEFAULT = PlotParameters()


def plot_pair(pair: Pair, split: str, where: str, parameters: PlotParameters = DEFAULT) -> Picture:
    """Plot the three panels of a pair below two lines of text.

    Args:
        pair: the pair.
        split: "train", "val" or "test", for the text.
        where: file and number of the record, for the text.
        parameters: layout.
    """
    panels = plot_panels(pair, parameters)
    head = np.full((parameters.head, panels.shape[1], 3), 255, np.uint8)
    ids = " / ".join(dict.fromkeys((pair.image_id_a, pair.image_id_b)))
    title = f"{pair.kind}   {pair.noise}   {split}"
    _put_text(head, title, (4, 13), parameters.colour(pair.kind), parameters.title_size)
    _put_text(head, f"{ids}   {where}", (4, 28), parameters.text, parameters.text_size)
    return np.concatenate([head, panels])


def plot_panels(pair: Pair, parameters: PlotParameters = DEFAULT) -> Picture:
    """Plot the three panels of a pair side by side, without text."""
    a = _enlarge(pair.image_a, parameters)
    b = _enlarge(pair.image_b, parameters)
    letter_corner = (parameters.disk_radius, 4 * parameters.disk_radius)
    if pair.genuine:
        _plot_correspondences(a, _cell_centres(pair), pair.visible, parameters)
        _plot_correspondences(b, pair.map_ab, pair.visible, parameters)
        chequerboard = plot_chequerboard(pair, parameters)
    else:
        chequerboard = _plot_empty_panel(len(a), parameters)
    for panel, letter in ((a, "A"), (b, "B"), *([(chequerboard, "A, B")] * pair.genuine)):
        _put_label(panel, letter, letter_corner, parameters)
    gap = parameters.gap
    margins = ((0, gap), (gap // 2, gap // 2), (0, 0))
    panels = [np.pad(panel, margins, constant_values=255) for panel in (a, b, chequerboard)]
    return np.concatenate(panels, 1)


def _cell_centres(pair: Pair) -> NDArray[np.floating]:
    """Return the positions (x, y) in px of the centres of A's cells, [G, G, 2]."""
    stride = len(pair.image_a) // len(pair.visible)
    centres = np.arange(len(pair.visible)) * stride + (stride - 1) / 2
    return np.stack(np.meshgrid(centres, centres), -1)


def _enlarge(image: NDArray[np.uint8], parameters: PlotParameters) -> Picture:
    """Enlarge a grey image [H, W], with more contrast and lighter, so that lines can be seen."""
    scale = parameters.scale
    stretched = _stretch(image, parameters)
    large = cv2.resize(stretched, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    lightness = (255 - parameters.darkest) / 255
    return _to_colour(parameters.darkest + np.clip(large, 0, 255) * lightness)


def _stretch(image: NDArray[np.uint8], parameters: PlotParameters) -> NDArray[np.float32]:
    """Give the ridges of an image [H, W] equal tone and contrast everywhere, in [0, 255]."""
    deviation = parameters.contrast_window * max(image.shape)
    grey = image.astype(np.float32)
    centred = grey - cv2.GaussianBlur(grey, (0, 0), deviation)
    contrast = np.sqrt(cv2.GaussianBlur(centred**2, (0, 0), deviation)) + parameters.contrast_floor
    lightness = parameters.flat * (1 + centred / contrast)
    return np.asarray(255 * np.clip(lightness, 0, 1), np.float32)


def _to_colour(grey: NDArray[np.floating]) -> Picture:
    return np.repeat(grey.astype(np.uint8)[..., None], 3, -1)


def plot_chequerboard(pair: Pair, parameters: PlotParameters = DEFAULT) -> Picture:
    """Plot alternating squares of A and of B resampled into the frame of A."""
    a, b = _stretch(pair.image_a, parameters), _stretch(pair.image_b, parameters)
    side = len(a) * parameters.scale
    positions, visible = upsample_map(pair, side, side)
    large_a = np.asarray(cv2.resize(a, (side, side), interpolation=cv2.INTER_CUBIC))
    row, column = np.mgrid[0:side, 0:side] * parameters.squares // side
    mixed = np.where((row + column) % 2 == 0, large_a, resample(b, positions))
    return _to_colour(np.where(visible, np.clip(mixed, 0, 255), parameters.empty))


def _plot_empty_panel(side: int, parameters: PlotParameters) -> Picture:
    """Plot the third panel of an impostor pair, which has no map."""
    panel = np.full((side, side, 3), parameters.empty, np.uint8)
    corner, size = (side // 5, side // 2), parameters.title_size
    _put_text(panel, "two fingers: no map", corner, parameters.impostor, size)
    return panel


def _plot_correspondences(
    image: Picture,
    positions: NDArray[np.floating],
    visible: NDArray[np.bool_],
    parameters: PlotParameters,
) -> None:
    """Plot the grid and the numbered points of a pair into one of its enlarged images.

    Args:
        image: the enlarged image, which is changed.
        positions: (x, y) in px of the image before enlargement of each cell, [G, G, 2].
        visible: [G, G]; other cells are left out.
        parameters: layout.
    """
    _plot_grid(image, positions, visible, parameters)
    _plot_points(image, positions, visible, parameters)


def _plot_grid(
    image: Picture,
    positions: NDArray[np.floating],
    visible: NDArray[np.bool_],
    parameters: PlotParameters,
) -> None:
    """Plot rows and columns of cells as lines, which are interrupted at invisible cells."""
    cells = len(visible)
    for k in np.linspace(0, cells - 1, parameters.lines).round().astype(int):
        row_hue = np.interp(k / cells, [0, 1], parameters.row_hue_range)
        column_hue = np.interp(k / cells, [0, 1], parameters.column_hue_range)
        _plot_line(image, positions[k], visible[k], _colour(row_hue, parameters), parameters)
        column_colour = _colour(column_hue, parameters)
        _plot_line(image, positions[:, k], visible[:, k], column_colour, parameters)


def _plot_line(
    image: Picture,
    positions: NDArray[np.floating],
    visible: NDArray[np.bool_],
    colour: Colour,
    parameters: PlotParameters,
) -> None:
    """Plot one line through `positions` [G, 2], interrupted where `visible` [G] is False."""
    ends = np.flatnonzero(np.diff(np.concatenate([[False], visible, [False]])))
    for start, stop in zip(ends[::2], ends[1::2], strict=True):
        points = _to_subpixels(positions[start:stop], parameters)
        cv2.polylines(image, [points], False, colour, 1, cv2.LINE_AA, SUBPIXEL_BITS)


def _plot_points(
    image: Picture,
    positions: NDArray[np.floating],
    visible: NDArray[np.bool_],
    parameters: PlotParameters,
) -> None:
    """Plot numbered points at the same cells of both images."""
    cells, points = len(visible), parameters.points
    lattice = ((np.arange(points) + 0.5) * cells / points).astype(int)
    for number, (row, column) in enumerate((r, c) for r in lattice for c in lattice):
        if visible[row, column]:
            x, y = _to_subpixels(positions[row, column], parameters)
            radius = parameters.disk_radius
            _plot_disk(image, (x, y), radius + 1, (255, 255, 255))
            _plot_disk(image, (x, y), radius, _colour(number / points**2, parameters))
            corner = (x // SUBPIXELS + radius + 2, y // SUBPIXELS + radius)
            _put_text(image, str(number + 1), corner, (0, 0, 0), parameters.number_size)


def _put_label(
    image: Picture, text: str, corner: tuple[int, int], parameters: PlotParameters
) -> None:
    """Put text with a white seam, so that it is legible on ridges."""
    size = parameters.title_size
    cv2.putText(image, text, corner, FONT, size, (255, 255, 255), 5, cv2.LINE_AA)
    cv2.putText(image, text, corner, FONT, size, (0, 0, 0), 1, cv2.LINE_AA)


def _plot_disk(image: Picture, centre: tuple[int, int], radius: int, colour: Colour) -> None:
    """Plot a disk; the centre is in subpixels, the radius in px."""
    cv2.circle(image, centre, radius * SUBPIXELS, colour, -1, cv2.LINE_AA, SUBPIXEL_BITS)


def _to_subpixels(positions: NDArray[np.floating], parameters: PlotParameters) -> NDArray[np.int32]:
    """Convert positions (x, y) [..., 2] from px of an image to subpixels of the enlarged one."""
    enlarged = (positions + 0.5) * parameters.scale - 0.5
    return np.asarray(enlarged * SUBPIXELS).round().astype(np.int32)


def _colour(hue: float, parameters: PlotParameters) -> Colour:
    """Return a saturated colour; the hue is in [0, 1): red, yellow, green, cyan, blue, magenta."""
    red, green, blue = colorsys.hsv_to_rgb(hue, 1, parameters.brightness)
    return round(255 * blue), round(255 * green), round(255 * red)


def _put_text(
    image: Picture, text: str, corner: tuple[int, int], colour: Colour, size: float
) -> None:
    """Put text into a picture with its lower left corner at (x, y); OpenCV knows ASCII only."""
    ascii_text = text.encode("ascii", "replace").decode()
    cv2.putText(image, ascii_text, corner, FONT, size, colour, 1, cv2.LINE_AA)
