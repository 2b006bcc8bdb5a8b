"""Minutiae of all files of a set, extracted once and kept in the folder of the benchmark."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.imaging import file
from pipeline.imaging.resolution import find_resolution
from shards.foundation import files, pool
from shards.foundation.errors import Fault
from shards.foundation.progress import Progress
from train.evaluation import result_log
from train.evaluation.benchmark import afis_minutiae
from train.evaluation.result_log import ResultLog, Row

VERSION = 1  # of the results: raise it with every change of code that changes them


def extract(images: list[Path], extractor: str, out: Path, name: str, workers: int | None) -> Path:
    """Extract the minutiae of image files, as far as `out` does not hold them.

    A file whose minutiae cannot be extracted has none; its comparisons say why it cannot be read.

    Args:
        images: the files.
        extractor: see `afis_minutiae.extract`.
        out: folder of the log and of the result.
        name: of the set.
        workers: number of processes; None for as many as cores.

    Returns:
        An .npz file (`reference_minutiae.load`), out/NAME-EXTRACTOR.npz.
    """
    inputs = {
        "images_sha256": result_log.digest(images),
        "extractor": extractor,
        "afis": afis_minutiae.version(),
        **result_log.versions({"minutiae files": VERSION}),
    }
    with ResultLog(out, inputs, operator.itemgetter("file")) as log:
        done = {row["file"] for row in log.rows}
        tasks = [image for image in images if image.name not in done]
        work = functools.partial(_extract, extractor)
        with (
            Progress(f"{name}: {extractor} minutiae", len(tasks), "files") as progress,
            contextlib.closing(pool.run(work, tasks, workers)) as results,
        ):
            for row in results:
                log.append(row)
                progress.advance()
        rows = {row["file"]: row for row in log.rows}
    arrays: dict[str, Any] = {
        image.name: np.array(rows[image.name]["minutiae"], np.float64).reshape(-1, 5)
        for image in images
    }
    path = out / f"{name}-{extractor}.npz"
    with files.temporary_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    return path


def _extract(extractor: str, image: Path, stop: Callable[[], bool]) -> Row:
    """Extract the minutiae of one file; its row has a fault where that fails."""
    try:
        content = file.load(image)
        ppi = find_resolution(image, content.stored, None).ppi
        minutiae = afis_minutiae.extract(content.stored, ppi, extractor, image.name)
    except Fault as fault:
        return {"file": image.name, "minutiae": [], "fault": str(fault)}
    return {"file": image.name, "minutiae": minutiae.round(4).tolist(), "fault": None}
