"""Picture of every processing stage from an image file to its pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline import plan
from pipeline.imaging.file import load
from pipeline.imaging.header import Size
from pipeline.imaging.resolution import ImageResolution, by_option, find_resolution
from pipeline.impression import Impression
from pipeline.pair import Address, CroppedImpression, Trace, make_pair, prepare_impression
from pipeline.spec import PipelineSpec
from shards import plot
from shards.foundation import files

Picture = NDArray[np.uint8]  # [h, w, 3], BGR


@dataclass(frozen=True)
class SheetParameters:
    """Layout of the sheet, in px; chosen to fit the tiles of `shards.plot`."""

    panel: int = 262  # height of a stage's image; that of the images in a contact sheet's tile
    margin: int = 6  # around each panel
    text_height: float = 0.42  # scale of OpenCV's font
    text_colour: tuple[int, int, int] = (60, 60, 60)  # BGR


DEFAULT = SheetParameters()


def write_sheet(
    path: Path, out: Path, ppi: float | None, spec: PipelineSpec, raw_size: Size | None = None
) -> tuple[ImageResolution, tuple[str, ...]]:
    """Write a PNG with the stages of an image in a row and its three degraded pairs below.

    Args:
        path: image file.
        out: PNG to write.
        ppi: resolution of the image; None to find it (`find_resolution`).
        spec: settings of the pairs.
        raw_size: (width, height) in px of an image without header.

    Returns:
        The resolution that was used, and the remarks of the reader.

    Raises:
        Fault: the image cannot be used, or the sheet cannot be written.
    """
    image = load(path, raw_size)
    resolution = find_resolution(path, image.stored, by_option(ppi))
    impression = Impression(path, f"show/{path.stem}", "show", "show", "show", resolution.ppi)
    stages: Trace = []
    prepared = prepare_impression(impression, image, None, spec, stages)
    rows = [_join([_panel(name, image) for name, image in stages])]
    for index, noise in enumerate(plan.DEGRADATIONS):
        rows.append(_pair_row(prepared, Address("genuine", noise, index), path.name, spec))
    sheet = _stack(rows)
    files.write_bytes(out, cv2.imencode(".png", sheet)[1].tobytes(), follow_links=True)
    return resolution, image.notes


def _pair_row(
    prepared: CroppedImpression, address: Address, name: str, spec: PipelineSpec
) -> Picture:
    """Plot the degraded image at 500 ppi and the pair that is made of it."""
    trace: Trace = []
    pair = make_pair(prepared, prepared, address, spec, trace)
    noise, degraded = trace[0]
    return _join([_panel(f"{noise} at 500 ppi", degraded), plot.plot_pair(pair, "", name)])


def _panel(name: str, image: NDArray[np.uint8], parameters: SheetParameters = DEFAULT) -> Picture:
    """Plot a stage uint8 [h, w] at the height of a panel, below its name and size."""
    height, width = image.shape
    size = (max(1, round(width * parameters.panel / height)), parameters.panel)
    method = cv2.INTER_AREA if height > parameters.panel else cv2.INTER_NEAREST
    resized = cv2.cvtColor(cv2.resize(image, size, interpolation=method), cv2.COLOR_GRAY2BGR)
    head = np.full((plot.DEFAULT.head, size[0], 3), 255, np.uint8)
    _put_text(head, name.encode("ascii", "replace").decode(), 13, parameters)
    _put_text(head, f"{width} x {height} px", 28, parameters)
    return np.concatenate([head, np.asarray(resized, np.uint8)])


def _put_text(picture: Picture, text: str, y: int, parameters: SheetParameters) -> None:
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, parameters.text_height
    cv2.putText(picture, text, (2, y), font, scale, parameters.text_colour, 1, cv2.LINE_AA)


def _join(panels: Sequence[Picture], parameters: SheetParameters = DEFAULT) -> Picture:
    """Join panels from left to right, aligned at the top."""
    height, margin = max(len(panel) for panel in panels), parameters.margin
    padded = [
        np.pad(
            panel,
            ((margin, height - len(panel)), (margin, margin), (0, 0)),
            constant_values=255,
        )
        for panel in panels
    ]
    return np.concatenate(padded, 1)


def _stack(rows: Sequence[Picture]) -> Picture:
    """Join rows from top to bottom, aligned at the left."""
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows
    ]
    return np.concatenate(padded)
