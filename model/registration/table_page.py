"""The page on a table of pairs: all rows with thumbnails, to be sorted and searched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.registration.impression import PreparedImpression
from model.registration.pair_table import ScoreRow
from model.registration.result import Registration
from pipeline.imaging.resolution import WORKING_PPI
from pipeline.imaging.warp import apply_affine, invert_affine
from shards.foundation import files, html
from shards.foundation.printable import printable_line

TEMPLATE = Path(__file__).parent / "templates/table.html"
PAGE = "index.html"  # in the folder of the results
FOLDER = "thumbnails"  # in the same folder


@dataclass(frozen=True)
class ThumbnailParameters:
    """Appearance of a thumbnail. All are chosen."""

    side: int = 112  # px, the longer one of A
    gap: int = 4  # px between A and B
    empty: int = 225  # grey level where nothing corresponds, and beyond an image
    jpeg_quality: int = 80


THUMBNAIL = ThumbnailParameters()


def thumbnail_name(row: int) -> str:
    """Return the path of the thumbnail of a row, below the folder of the results."""
    return f"{FOLDER}/{row:06d}.jpg"


def write_thumbnail(
    path: Path, a: PreparedImpression, b: PreparedImpression, registration: Registration
) -> None:
    """Write A and, beside it, B brought onto A, as JPEG; Fault where it cannot be written."""
    picture = plot_thumbnail(a, b, registration)
    quality = [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL.jpeg_quality]
    files.write_bytes(path, cv2.imencode(".jpg", picture, quality)[1].tobytes())


def plot_thumbnail(
    a: PreparedImpression, b: PreparedImpression, registration: Registration
) -> NDArray[np.uint8]:
    """Return A and, beside it, B brought onto A, uint8 [h, w], in the frame of A's file."""
    height, width = a.shape
    step = max(height, width) / THUMBNAIL.side
    x = (np.arange(max(1, round(width / step))) + 0.5) * step - 0.5
    y = (np.arange(max(1, round(height / step))) + 0.5) * step - 0.5
    rows, columns = y.astype(int).clip(0, height - 1), x.astype(int).clip(0, width - 1)
    points = np.stack(np.meshgrid(columns, rows), -1).astype(np.float64)
    mapped = registration.map_ab[np.ix_(rows, columns)].astype(np.float64)
    gap = np.full((len(rows), THUMBNAIL.gap), 255, np.uint8)
    side = max(1, round(step * WORKING_PPI / a.resolution.ppi))
    return np.hstack([_sample(a, points, side), gap, _sample(b, mapped, side)])


def write_table_page(out: Path, title: str, scores: Iterable[ScoreRow]) -> None:
    """Write the page into the folder `out` of the results; Fault where it cannot be written.

    Args:
        out: the folder, which holds the maps and the thumbnails.
        title: of the page, such as the name of the table.
        scores: the rows.
    """
    rows = [
        {
            "row": score.row,
            "a": printable_line(score.a),
            "b": printable_line(score.b),
            "score": float(score.score) if score.score else None,
            "matches": int(score.matches) if score.matches else None,
            "fault": printable_line(score.fault),
            "notes": printable_line(score.notes),
            "thumbnail": (out / thumbnail_name(score.row)).is_file(),
        }
        for score in scores
    ]
    text = html.render(TEMPLATE, title=printable_line(title), rows=rows, folder=FOLDER)
    files.write_text(out / PAGE, text)


def _sample(
    impression: PreparedImpression, points: NDArray[np.float64], side: int
) -> NDArray[np.uint8]:
    """Sample an impression at points [h, w, 2] of its file, which are `side` px at 500 ppi apart.

    Each sample is the mean of a square of that side.
    """
    averages = cv2.blur(impression.prepared.image, (side, side))
    valid = np.isfinite(points[..., 0])
    working = apply_affine(invert_affine(impression.prepared.to_original), points)
    x, y = np.moveaxis(np.where(valid[..., None], working, -9).astype(np.float32), -1, 0)
    sampled = cv2.remap(averages, x, y, cv2.INTER_LINEAR, borderValue=THUMBNAIL.empty)
    return np.where(valid, sampled, THUMBNAIL.empty).astype(np.uint8)
