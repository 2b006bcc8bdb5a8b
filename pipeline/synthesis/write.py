"""Write sets of synthetic fingers: resumable, by any number of processes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, takewhile
from pathlib import Path

import numpy as np

from pipeline.imaging.warp import IDENTITY, Warp
from pipeline.synthesis import encode
from pipeline.synthesis.encode import join_horizontally, resample
from pipeline.synthesis.file_description import ChecksumList, File, TouchAddress
from pipeline.synthesis.generate import (
    SyntheticImpression,
    synthesize_impression,
    synthesize_master,
)
from pipeline.synthesis.layouts import Layout, choose_layout
from pipeline.synthesis.sensor import Style
from shards.foundation import files, pool
from shards.foundation.errors import Fault, Misuse
from shards.foundation.progress import Progress

VERSION = 11  # of the generator: to be raised when an address gives other bytes

Synthesize = Callable[[TouchAddress, tuple[Style, ...]], SyntheticImpression]


@dataclass(frozen=True)
class WriteParameters:
    """Limits of the writer."""

    # Impressions kept in memory, since several files show one touch. Chosen: more than one capture
    # of a person has.
    cached_touches: int = 64


DEFAULT = WriteParameters()


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
    """Write a set of synthetic fingers; images that exist already are not written again.

    Args:
        out: folder; the set's own folder is created in it.
        fingers: number of fingers; in NIST's layouts as many persons as have them, by every device.
        impressions: number of impressions of each finger.
        seed: first part of all addresses.
        workers: number of processes; by default the number of cores.
        name: name of the set, for the layout "synthetic" alone; by default "seed" and the seed.
        layout: one of `pipeline.synthesis.layouts.LAYOUTS`.

    Raises:
        Misuse: the folder cannot be created or holds another set of the same name.
        Fault: a file cannot be written, or the work was interrupted.
    """
    if name and layout != "synthetic":
        raise Misuse(
            f"--name {name}: names a set of --layout synthetic; {layout} has its own names"
        )
    plan = choose_layout(layout, name or f"seed{seed}", fingers, impressions, seed)
    folder = out / plan.folder
    identity = {"fingers": fingers, "impressions": impressions, "seed": seed, "version": VERSION}
    _open_set(folder, plan.marker, identity)
    units = [missing for unit in plan.units if (missing := _missing_files(folder, unit))]
    written = sum(map(len, units))
    with pool.interruptible("finished images"):
        _write_units(folder, seed, units, workers)
        _write_checksum_lists(folder, plan)
    return Report(folder, written, sum(map(len, plan.units)) - written, plan.remark)


def _open_set(folder: Path, marker: str, identity: dict[str, int]) -> None:
    """Create the folder with its marker, or check that the existing one is the same set."""
    path = folder / marker
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
        raise Misuse(f"{folder}: cannot be created: {reason}; choose another --out") from error
    try:
        existing = files.read_json(path)
    except Fault as error:
        raise Misuse(
            f"{path}: cannot be read; remove the folder or choose another --name"
        ) from error
    if existing is None:
        files.write_json(path, identity)
    elif existing != identity:
        raise Misuse(
            f"{folder}: holds another set: {existing}, expected {identity}; choose another --name "
            "or --out, or remove the folder"
        )


def _missing_files(folder: Path, unit: Iterable[File]) -> tuple[File, ...]:
    """Return the files of `unit` that are not complete on disk."""

    def exists(file: File) -> bool:
        path = folder / file.path
        return path.exists() and (not file.sidecar or path.with_suffix(".json").exists())

    return tuple(file for file in unit if not exists(file))


def _write_units(
    folder: Path, seed: int, units: list[tuple[File, ...]], workers: int | None
) -> None:
    """Write the files of all units and show the progress."""
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
    folder: Path, seed: int, unit: tuple[File, ...], stopped: Callable[[], bool]
) -> int:
    """Write the files of one finger or person until `stopped`; return their number."""
    synthesize = lru_cache(DEFAULT.cached_touches)(_synthesizer(seed))
    for file in takewhile(lambda _: not stopped(), unit):
        _write_file(folder / file.path, file, synthesize)
    return len(unit)


def _synthesizer(seed: int) -> Synthesize:
    """Return the function from a touch's address to its impression; masters are kept in memory."""
    master = lru_cache(maxsize=None)(partial(synthesize_master, seed))

    def synthesize(touch: TouchAddress, styles: tuple[Style, ...]) -> SyntheticImpression:
        if touch.master is None:
            size = styles[0].placement.size
            blank = np.full(size, encode.DEFAULT.grey, np.uint8)
            return SyntheticImpression(blank, Warp(IDENTITY), "none", {})
        address = (touch.partition, touch.finger, touch.impression)
        return synthesize_impression(master(*touch.master), seed, *address, styles)

    return synthesize


def _write_file(path: Path, file: File, synthesize: Synthesize) -> None:
    """Synthesize and write one file after its sidecar, so that an image implies its sidecar."""
    impressions = [synthesize(touch, file.styles) for touch in file.touches]
    first = impressions[0]
    image = join_horizontally(
        [impression.image for impression in impressions],
        [touch.offset for touch in file.touches],
    )
    if file.sidecar:
        _write_sidecar(path.with_suffix(".json"), first)
    ppi = file.ppi or first.ppi
    image = resample(image, ppi / first.ppi, file.size)
    header_ppi = file.header_ppi or (ppi if file.sidecar else None)
    files.write_bytes(path, encode.encode(image, path.suffix, header_ppi))


def _write_sidecar(path: Path, impression: SyntheticImpression) -> None:
    fields = {
        "ppi": impression.ppi,
        "class": impression.label,
        "warp": impression.warp.to_json(),
        "params": impression.params,
    }
    files.write_json(path, fields)


def _write_checksum_lists(folder: Path, layout: Layout) -> None:
    """Write the publisher's lists of checksums that do not exist."""
    lists: dict[ChecksumList, list[str]] = {}
    for file in chain.from_iterable(layout.units):
        if file.checksum_list:
            lists.setdefault(file.checksum_list, []).append(file.path)
    for checksum_list, paths in lists.items():
        if not (folder / checksum_list.path).exists():
            text = io.StringIO()
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(checksum_list.columns)
            for path in sorted(paths):
                rows.writerow((files.sha256(folder / path), Path(path).name))
            files.write_bytes(folder / checksum_list.path, text.getvalue().encode())
