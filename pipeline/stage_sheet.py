"""Every stage from an image file to its pairs, on one sheet for a person to look at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline import plan
from pipeline.imaging.png import png_ppi
from pipeline.imaging.preprocess import PPI, load
from pipeline.impression import Impression
from pipeline.pair import Address, Trace, make_pair, open_print
from pipeline.sources.listing import Unparsed
from pipeline.spec import PipelineSpec
from shards import contact_sheet
from shards.foundation.errors import Fault

PANEL = 262  # px, the height of a stage; that of the panels of a pair
MARGIN = 6

Picture = NDArray[np.uint8]  # [h, w, 3]


def write_sheet(path: Path, out: Path, ppi: float | None, spec: PipelineSpec) -> None:
    """Write a PNG: the stages of the image at `path` in a row, below them each of its three pairs.

    Without `ppi` it has what its header says if it is a PNG, or else 500. Fault where the image
    cannot be used, or the sheet not be written.
    """
    if ppi is None:
        told = png_ppi(path)
        ppi = PPI if isinstance(told, Unparsed) else told
    impression = Impression(path, f"show/{path.stem}", "show", "show", "show", ppi)
    stages: Trace = []
    print_ = open_print(impression, load(path), None, spec, stages)
    rows = [_row([_panel(name, image) for name, image in stages])]
    for index, noise in enumerate(plan.DEGRADATIONS):
        trace: Trace = []
        pair = make_pair(print_, print_, Address("genuine", noise, index), spec, trace)
        name, corrupted = trace[0]
        rows.append(
            _row([_panel(f"{name} at 500 ppi", corrupted), contact_sheet.tile(pair, "", path.name)])
        )
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0)), constant_values=255) for r in rows]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(cv2.imencode(".png", np.concatenate(rows))[1].tobytes())
    except OSError as error:
        raise Fault(f"{out}: cannot be written: {error.strerror}") from error


def _panel(name: str, image: NDArray[np.uint8]) -> Picture:
    """A stage at the height of PANEL, under its name and size."""
    height, width = image.shape
    size = (max(1, round(width * PANEL / height)), PANEL)
    method = cv2.INTER_AREA if height > PANEL else cv2.INTER_NEAREST
    shown = cv2.cvtColor(cv2.resize(image, size, interpolation=method), cv2.COLOR_GRAY2BGR)
    head = np.full((contact_sheet.HEAD, size[0], 3), 255, np.uint8)
    for text, y in ((name.encode("ascii", "replace").decode(), 13), (f"{width} x {height} px", 28)):
        cv2.putText(
            head, text, (2, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (60, 60, 60), 1, cv2.LINE_AA
        )
    return np.concatenate([head, np.asarray(shown, np.uint8)])


def _row(panels: list[Picture]) -> Picture:
    """Panels side by side, their tops aligned."""
    tallest = max(len(panel) for panel in panels)
    padded = [
        np.pad(p, ((MARGIN, tallest - len(p)), (MARGIN, MARGIN), (0, 0)), constant_values=255)
        for p in panels
    ]
    return np.concatenate(padded, 1)
