"""Run a benchmark: minutiae, facts, every method on every set, then files and a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.network import tensor_file
from shards.foundation.errors import Fault, Misuse
from shards.foundation.printable import counted
from train.evaluation import bootstrap, fvc, result_log
from train.evaluation.benchmark import (
    afis_minutiae,
    benchmark_files,
    comparisons,
    map_folder,
    methods,
    page,
    results,
)
from train.evaluation.benchmark.benchmark_files import Summary
from train.evaluation.benchmark.entries import MethodEntry, SetEntry
from train.evaluation.benchmark.methods import Job
from train.evaluation.benchmark.minutiae_files import extract
from train.evaluation.benchmark.results import SetRows
from train.evaluation.fvc import Comparison
from train.evaluation.impression_folder import find_impressions, find_others
from train.evaluation.output import make_folder
from train.evaluation.reference_minutiae import load
from train.evaluation.result_log import Row

MINUTIAE, LOGS = "minutiae", "logs"  # folders below the results
SHOWN_FILES = 5  # names in a message; chosen


@dataclass(frozen=True)
class Settings:
    """What is compared, and where the results go.

    Attributes:
        sets: the sets.
        methods: the methods; none to write the lists of pairs alone.
        checkpoint: the network of this project's methods.
        out: folder of the results.
        workers: number of processes; None for as many as cores.
    """

    sets: list[SetEntry]
    methods: list[MethodEntry]
    checkpoint: Path
    out: Path
    workers: int | None


@dataclass(frozen=True)
class SetMinutiae:
    """Files of the minutiae of a set, and what they depend on."""

    witness: Path | None
    mindtct: Path | None
    inputs: Row


def run(settings: Settings, echo: Callable[[str], None]) -> tuple[Summary, list[str]]:
    """Run a benchmark as far as its folder does not hold the results.

    Args:
        settings: what is compared.
        echo: prints one line.

    Returns:
        The content of benchmark.json (`benchmark_files.write`), and a message for each comparison
        that could not be made. Without methods the content is empty: only lists are written.
    """
    comparisons.forget_files()
    pairs = {of.name: fvc.list_comparisons(find_impressions(of.folder)) for of in settings.sets}
    for of in settings.sets:
        echo(_describe_pairs(of, pairs[of.name]))
        benchmark_files.write_pairs(of.name, pairs[of.name], settings.out)
    if not settings.methods:
        return {}, []
    for folder in (MINUTIAE, LOGS):
        make_folder(settings.out / folder)
    if not afis_minutiae.is_installed():
        echo(f"no matchers: {afis_minutiae.INSTALL}; their columns stay empty")
    rows = [_run_set(settings, of, pairs[of.name], echo) for of in settings.sets]
    tables = results.tables(rows)
    summary = benchmark_files.write(rows, tables, _describe(settings, pairs), settings.out)
    faults = [row["fault"] for of in rows for part in of.rows.values() for row in part]
    faults = [fault for fault in faults if fault]
    page.write(summary, tables, faults, settings.out)
    return summary, faults


def _describe_pairs(of: SetEntry, pairs: list[Comparison]) -> str:
    """Describe the pairs of a set, and the image files that are no part of it, in one line."""
    genuine = sum(pair.genuine for pair in pairs)
    text = f"{of.name}: {counted(genuine, 'genuine pair')}, "
    text += counted(len(pairs) - genuine, "impostor pair")
    if genuine in (0, len(pairs)):
        text += "; error rates need pairs of both kinds: two fingers, and two impressions of one"
    others = find_others(of.folder)
    if others:
        names = ", ".join(path.name for path in others[:SHOWN_FILES])
        more = ", …" if len(others) > SHOWN_FILES else ""
        text += f"; left out, not named FINGER_IMPRESSION.tif, .png or .bmp: {names}{more}"
    return text


def _run_set(
    settings: Settings, of: SetEntry, pairs: list[Comparison], echo: Callable[[str], None]
) -> SetRows:
    """Make all comparisons of a set."""
    minutiae = _find_minutiae(settings, of, echo)
    logs, workers = settings.out / LOGS, settings.workers
    jobs = [
        Job(
            entry,
            of,
            len(settings.sets) == 1,
            settings.checkpoint,
            minutiae.witness,
            minutiae.mindtct,
        )
        for entry in settings.methods
    ]
    for job in jobs:
        methods.describe_inputs(job)  # a missing folder of maps is reported before the work
    facts = comparisons.run_facts(jobs[0], pairs, minutiae.inputs, logs, workers)
    rows = {
        methods.label(job.entry): comparisons.run_method(job, facts, minutiae.inputs, logs, workers)
        for job in jobs
    }
    return SetRows(of.name, facts, rows)


def _find_minutiae(settings: Settings, of: SetEntry, echo: Callable[[str], None]) -> SetMinutiae:
    """Return the witness minutiae that the user names, else LEADER's, and those of MINDTCT."""
    images = [path for files in find_impressions(of.folder).values() for path in files]
    inputs: Row = {"images_sha256": result_log.digest(images), "afis": afis_minutiae.version()}
    witness, mindtct = of.minutiae, None
    if witness is not None:
        load(witness, images)  # a damaged file is reported before the work
        inputs["minutiae_sha256"] = result_log.sha256(witness)
    if afis_minutiae.is_installed():
        folder, workers = settings.out / MINUTIAE, settings.workers
        mindtct = extract(images, afis_minutiae.MINDTCT, folder, of.name, workers)
        if witness is None:
            witness = extract(images, afis_minutiae.LEADER, folder, of.name, workers)
    elif witness is None:
        echo(f"{of.name}: no witness: {afis_minutiae.INSTALL}, or name --minutiae {of.name}=FILE")
    return SetMinutiae(witness, mindtct, inputs)


def _describe(settings: Settings, pairs: dict[str, list[Comparison]]) -> Summary:
    """Return sets, methods and versions."""
    leader = afis_minutiae.LEADER if afis_minutiae.is_installed() else None
    sets: dict[str, Any] = {}
    for of in settings.sets:
        genuine = sum(pair.genuine for pair in pairs[of.name])
        sets[of.name] = {
            "folder": of.folder.name,
            "fingers": len(find_impressions(of.folder)),
            "genuine": genuine,
            "impostor": len(pairs[of.name]) - genuine,
            "witness": of.minutiae.name if of.minutiae else leader,
        }
    described = {
        methods.label(entry): {
            "kind": entry.kind,
            "version": methods.VERSIONS[entry.kind],
            "parameters": methods.count_parameters(entry, settings.checkpoint),
        }
        for entry in settings.methods
    }
    uses_network = any(entry.uses_network for entry in settings.methods)
    network = result_log.sha256(settings.checkpoint) if uses_network else None
    return {
        "sets": sets,
        "methods": described,
        "checkpoint_sha256": network,
        "afis": afis_minutiae.version(),
        "intervals_version": bootstrap.INTERVAL_VERSION,
        **result_log.versions({"comparisons": comparisons.VERSION}),
    }


def check(settings: Settings) -> None:
    """Check what can be checked before the work.

    Raises:
        Misuse: a set or a method is not there.
        Fault: the network is damaged, or a folder of maps holds none.
    """
    methods.require(settings.methods)
    if any(entry.uses_network for entry in settings.methods):
        tensor_file.read(settings.checkpoint)
    only = len(settings.sets) == 1
    for of in settings.sets:
        find_impressions(of.folder)
        for entry in settings.methods:
            if entry.folder:
                maps = map_folder.find(entry.folder, of.name, only)
                if not any(maps.folder.glob("*.npz")):
                    raise Misuse(f"{maps.folder}: holds no map; expected .npz files")


def raise_faults(faults: list[str], largest: int = 20) -> None:
    """Raise a Fault that names the first comparisons that could not be made, if there are any."""
    if faults:
        more = f"; and {len(faults) - largest} more, in comparisons.csv"
        text = "; ".join(faults[:largest]) + (more if len(faults) > largest else "")
        raise Fault(text)
