"""Sets of synthetic fingers on disk: resumable, by any number of processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.generate import Made, make_impression, make_master
from pipeline.synthesis.sensor import OPTICAL, STYLES, Style
from shards.errors import Fault, Misuse
from shards.progress import Progress

VERSION = 2  # of the generator: other bytes for the same address need another number
LAYOUTS = ("synthetic", "fvc2002")
PPI = 500


@dataclass(frozen=True)
class Layout:
    """How a set lies on disk: whose names it takes, where it counts from, by which sensors."""

    partition: str  # the address of its fingers
    folder: str  # below the output folder
    finger_name: str  # format of a finger's number
    first_finger: int
    first_impression: int
    suffix: str
    styles: tuple[Style, ...]
    truth: bool  # whether each image has a sidecar with its class, warp and parameters


@dataclass(frozen=True)
class Report:
    """What a run did: images made, and images that were there before."""

    folder: Path
    made: int
    kept: int


def choose_layout(kind: str, name: str, fingers: int, impressions: int) -> Layout:
    """The layout of LAYOUTS called `kind`; Misuse where it cannot hold the set."""
    if kind == "synthetic":
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise Misuse(f"--name {name}: expected letters, digits, dots, dashes and underscores")
        return Layout(f"synthetic/{name}", f"synthetic/{name}", "05d", 0, 0, ".png", STYLES, True)
    if fingers > 100 or impressions > 8:
        raise Misuse(
            f"--layout fvc2002 holds at most 100 fingers and 8 impressions of each, not {fingers} "
            f"and {impressions}"
        )
    part, first = ("B", 101) if fingers <= 10 else ("A", 1)
    folder = f"fvc2002/DB1_{part}"
    return Layout(folder.lower(), folder, "d", first, 1, ".tif", (OPTICAL,), False)


def synthesise(
    out: Path,
    fingers: int,
    impressions: int,
    seed: int,
    workers: int | None = None,
    name: str | None = None,
    layout: str = "synthetic",
) -> Report:
    """Write `fingers` × `impressions` images below `out`; images already there are kept.

    Misuse where `out` cannot be written or holds another set under the same name.
    """
    chosen = choose_layout(layout, name or f"seed{seed}", fingers, impressions)
    folder = out / chosen.folder
    _open_set(folder, {"fingers": fingers, "impressions": impressions, "seed": seed})
    tasks = list(_missing(folder, chosen, fingers, impressions))
    made = sum(len(numbers) for _, numbers in tasks)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for the processes, started afresh
    context = multiprocessing.get_context("spawn")
    if tasks:
        with (
            Progress("synth", made, "impressions") as progress,
            ProcessPoolExecutor(min(workers or os.cpu_count() or 1, len(tasks)), context) as pool,
        ):
            jobs = [pool.submit(_write_finger, folder, chosen, seed, *task) for task in tasks]
            for job in as_completed(jobs):
                progress.advance(job.result())
    return Report(folder, made, fingers * impressions - made)


def stem(layout: Layout, finger: int, impression: int) -> str:
    """File name without suffix of an impression, both counted from 0."""
    number = format(finger + layout.first_finger, layout.finger_name)
    return f"{number}_{impression + layout.first_impression}"


def _open_set(folder: Path, identity: dict[str, int]) -> None:
    """Make the folder and its set.json, or check that it is this very set."""
    identity = {**identity, "version": VERSION}
    path = folder / "set.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misuse(f"{folder}: cannot be made: {error.strerror}; choose another --out") from error
    try:
        found = json.loads(path.read_text()) if path.exists() else None
    except (OSError, ValueError) as error:
        raise Misuse(
            f"{path}: cannot be read: {error}; remove the folder or choose another --name"
        ) from error
    if found is None:
        _write(path, json.dumps(identity).encode())
    elif found != identity:
        raise Misuse(
            f"{folder}: holds another set: {found}, wanted {identity}; choose another --name or "
            "--out, or remove the folder"
        )


def _missing(
    folder: Path, layout: Layout, fingers: int, impressions: int
) -> Iterator[tuple[int, list[int]]]:
    """Fingers with the impressions that are still to be made."""
    suffixes = (layout.suffix, ".json") if layout.truth else (layout.suffix,)
    there = {entry.name for entry in folder.iterdir()}
    for finger in range(fingers):
        names = [stem(layout, finger, k) for k in range(impressions)]
        numbers = [k for k, n in enumerate(names) if not {n + s for s in suffixes} <= there]
        if numbers:
            yield finger, numbers


def _write_finger(
    folder: Path, layout: Layout, seed: int, finger: int, impressions: list[int]
) -> int:
    """Write these impressions of one finger; their number."""
    cv2.setNumThreads(1)  # the processes are the parallelism
    master = make_master(seed, layout.partition, finger)
    for k in impressions:
        made = make_impression(master, seed, layout.partition, finger, k, layout.styles)
        path = folder / stem(layout, finger, k)
        if layout.truth:
            _write(path.with_suffix(".json"), _sidecar(made))
        _write(path.with_suffix(layout.suffix), _encode(made.image, layout.suffix))
    return len(impressions)


def _sidecar(made: Made) -> bytes:
    fields = {
        "ppi": PPI,
        "class": made.label,
        "warp": made.warp.to_json(),
        "params": made.params,
    }
    return json.dumps(fields).encode()


def _encode(image: NDArray[np.uint8], suffix: str) -> bytes:
    options = [cv2.IMWRITE_TIFF_COMPRESSION, 1] if suffix == ".tif" else []
    return cv2.imencode(suffix, image, options)[1].tobytes()


def _write(path: Path, data: bytes) -> None:
    """All of `data` at `path`, or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Fault(f"{path}: cannot be written: {error.strerror}") from error
