"""Sets of synthetic fingers on disk: resumable, by any number of processes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.imaging.warp import IDENTITY, Warp
from pipeline.synthesis.encode import GROUND, encode, resample, side_by_side
from pipeline.synthesis.file import File, Listed, Press
from pipeline.synthesis.generate import (
    SyntheticImpression,
    synthesize_impression,
    synthesize_master,
)
from pipeline.synthesis.layouts import Layout, choose_layout
from pipeline.synthesis.sensor import Style
from shards.foundation import files, pool
from shards.foundation.errors import Misuse
from shards.foundation.progress import Progress

VERSION = 9  # of the generator: other bytes for the same address need another number
TOUCHES = 64  # kept in memory: more than the files of one capture of a person share


@dataclass(frozen=True)
class Report:
    """Result of `write_set`: the numbers of images written and of images that already existed."""

    folder: Path
    written: int
    reused: int
    remark: str  # about the layout, for the user; may be empty


def write_set(
    out: Path,
    fingers: int,
    impressions: int,
    seed: int,
    workers: int | None = None,
    name: str | None = None,
    layout: str = "synthetic",
) -> Report:
    """Write a set of `fingers` × `impressions` below `out`; images already there are kept.

    In the layouts of NIST that is as many persons as have those fingers, each by every device.
    Misuse where `out` cannot be written or holds another set under the same name.
    """
    if name and layout != "synthetic":
        raise Misuse(
            f"--name {name}: names a set of --layout synthetic; {layout} has its own names"
        )
    chosen = choose_layout(layout, name or f"seed{seed}", fingers, impressions, seed)
    folder = out / chosen.folder
    identity = {"fingers": fingers, "impressions": impressions, "seed": seed}
    _open_set(folder, chosen.marker, identity)
    units = [missing for unit in chosen.units if (missing := _missing(folder, unit))]
    written = sum(map(len, units))
    with pool.interruptible("finished images"):
        _write_units(folder, seed, units, workers)
        _list_checksums(folder, chosen)
    return Report(folder, written, sum(map(len, chosen.units)) - written, chosen.remark)


def _open_set(folder: Path, marker: str, identity: dict[str, int]) -> None:
    """Make the folder and its marker, or check that it is this very set."""
    identity = {**identity, "version": VERSION}
    path = folder / marker
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
        files.write_json(path, identity)
    elif found != identity:
        raise Misuse(
            f"{folder}: holds another set: {found}, wanted {identity}; choose another --name or "
            "--out, or remove the folder"
        )


def _missing(folder: Path, files: Iterable[File]) -> tuple[File, ...]:
    """Those of `files` that are still to be made."""
    wanted = ((file, folder / file.path) for file in files)
    return tuple(
        file
        for file, path in wanted
        if not (path.exists() and (not file.truth or path.with_suffix(".json").exists()))
    )


def _write_units(
    folder: Path, seed: int, units: list[tuple[File, ...]], workers: int | None
) -> None:
    """Write all files, with their progress."""
    if not units:
        return
    write = partial(_write_unit, folder, seed)
    with (
        Progress("synth", sum(map(len, units)), "images") as progress,
        closing(pool.run(write, units, workers)) as results,
    ):
        for number in results:
            progress.advance(number)


def _write_unit(
    folder: Path, seed: int, files: tuple[File, ...], stopped: Callable[[], bool]
) -> int:
    """Write these files of one finger or person, till it is told to stop; their number."""
    skin = lru_cache(maxsize=None)(partial(synthesize_master, seed))

    @lru_cache(maxsize=TOUCHES)
    def touch(press: Press, styles: tuple[Style, ...]) -> SyntheticImpression:
        if press.skin is None:
            blank = np.full(styles[0].placement.size, GROUND, np.uint8)
            return SyntheticImpression(blank, Warp(IDENTITY), "none", {})
        address = (press.partition, press.finger, press.impression)
        return synthesize_impression(skin(*press.skin), seed, *address, styles)

    for file in takewhile(lambda _: not stopped(), files):
        _write_file(folder / file.path, file, touch)
    return len(files)


def _write_file(
    path: Path, file: File, touch: Callable[[Press, tuple[Style, ...]], SyntheticImpression]
) -> None:
    """Draw and write one file, after its sidecar: where the image is, all is."""
    made = [touch(press, file.styles) for press in file.presses]
    image = side_by_side([m.image for m in made], [press.drop for press in file.presses])
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.truth:
        files.write_json(path.with_suffix(".json"), _sidecar(made[0]))
    ppi = file.ppi or made[0].ppi
    image = resample(image, ppi / made[0].ppi, file.size)
    files.write_bytes(path, encode(image, path.suffix, file.claim or (ppi if file.truth else None)))


def _sidecar(made: SyntheticImpression) -> dict[str, Any]:
    return {
        "ppi": made.ppi,
        "class": made.label,
        "warp": made.warp.to_json(),
        "params": made.params,
    }


def _list_checksums(folder: Path, layout: Layout) -> None:
    """Write the publisher's lists of checksums that are not there."""
    lists: dict[Listed, list[str]] = {}
    everything = chain.from_iterable(layout.units)
    for listed, path in ((file.listed, file.path) for file in everything if file.listed):
        lists.setdefault(listed, []).append(path)
    for listed, paths in lists.items():
        if not (folder / listed.path).exists():
            text = io.StringIO()
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(listed.columns)
            for file in (folder / path for path in sorted(paths)):
                rows.writerow((files.sha256(file), file.name))
            files.write_bytes(folder / listed.path, text.getvalue().encode())
