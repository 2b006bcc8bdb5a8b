"""The methods of a benchmark: each registers two opened files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.network import compilation_cache, tensor_file
from model.registration.method_version import METHOD_VERSION
from model.registration.registrar import Registrar
from shards.foundation.errors import Misuse
from shards.foundation.versions import BUILD_DISTRIBUTIONS, library_versions
from train.evaluation import file_methods, phase, reference_minutiae, result_log, sift
from train.evaluation.benchmark import (
    afis_minutiae,
    entries,
    map_folder,
    minutiae_tps,
    rigid_matches,
)
from train.evaluation.benchmark.entries import MethodEntry, SetEntry
from train.evaluation.benchmark.opened_set import OpenedFile
from train.evaluation.file_methods import FileResult
from train.evaluation.result_log import Row

Register = Callable[[OpenedFile, OpenedFile], FileResult]

LABELS = {
    entries.OURS: entries.OURS,
    entries.SIFT: file_methods.SIFT,
    entries.PHASE: file_methods.PHASE,
    entries.MINUTIAE: "minutiae + spline",
    entries.RIGID: f"{entries.OURS}, rigid",
}
# Names of rows that are not of maps
RESERVED = {*LABELS.values(), reference_minutiae.ORACLE, entries.BEFORE}
VERSIONS: dict[str, int | str] = {
    entries.OURS: METHOD_VERSION,
    entries.SIFT: sift.VERSION,
    entries.PHASE: phase.VERSION,
    entries.MINUTIAE: minutiae_tps.VERSION,
    entries.RIGID: f"{METHOD_VERSION}.{rigid_matches.VERSION}",
    entries.MAPS: map_folder.VERSION,
}


@dataclass(frozen=True)
class Job:
    """One method on one set; a worker process makes it from these values alone.

    Attributes:
        entry: the method.
        entry_set: the set.
        only_set: whether it is the only one.
        checkpoint: the network.
        witness: .npz of witness minutiae, or None.
        mindtct: .npz of the minutiae of MINDTCT, or None.
    """

    entry: MethodEntry
    entry_set: SetEntry
    only_set: bool
    checkpoint: Path
    witness: Path | None
    mindtct: Path | None


def label(entry: MethodEntry) -> str:
    """Return the name of a method in the results: of maps that of their folder."""
    return entry.folder.name if entry.folder else LABELS[entry.kind]


def count_parameters(entry: MethodEntry, checkpoint: Path) -> int | None:
    """Return the number of a method's trained parameters; None for maps of another tool."""
    if entry.kind == entries.MAPS:
        return None
    if not entry.uses_network:
        return 0
    return sum(array.size for array in tensor_file.read(checkpoint)[0].values())


def require(methods: list[MethodEntry]) -> None:
    """Raise Misuse where two methods have one name, or one needs a package that is missing."""
    names = Counter(map(label, methods))
    for name, count in names.items():
        if count > 1:
            raise Misuse(f"--method: {name} occurs twice; results are told apart by their names")
    for method in methods:
        name = label(method)
        if method.folder and (name in RESERVED or not name):
            raise Misuse(
                f"--method: a folder of maps cannot be called {name!r}, as other rows of the page"
            )
    if (
        any(method.kind == entries.MINUTIAE for method in methods)
        and not afis_minutiae.is_installed()
    ):
        raise Misuse(f"--method {entries.MINUTIAE}: {afis_minutiae.INSTALL}, or leave it out")


def describe_inputs(job: Job) -> Row:
    """Return everything that the results of a method on a set depend on besides the images."""
    inputs: Row = {"method": label(job.entry), "version": VERSIONS[job.entry.kind]}
    if job.entry.uses_network:
        inputs["checkpoint_sha256"] = result_log.sha256(job.checkpoint)
    if job.entry.kind == entries.MINUTIAE:
        inputs |= library_versions({"scipy": BUILD_DISTRIBUTIONS["scipy"]})
    if job.entry.folder:
        maps = map_folder.find(job.entry.folder, job.entry_set.name, job.only_set)
        inputs["maps_sha256"] = result_log.digest(map_folder.list_files(maps))
    return inputs


def create(job: Job) -> Register:
    """Return the function that registers two files."""
    kind = job.entry.kind
    if job.entry.folder:
        maps = map_folder.find(job.entry.folder, job.entry_set.name, job.only_set)
        return lambda a, b: maps.register(a.name, b.name, a.prepared.network.shape)
    if job.entry.uses_network:
        compilation_cache.enable()
        by_network = {
            entries.OURS: file_methods.register_by_network,
            entries.RIGID: rigid_matches.register,
        }[kind]
        registrar = Registrar(job.checkpoint)
        return lambda a, b: by_network(registrar, a.prepared, b.prepared)
    if kind == entries.MINUTIAE:
        return _register_by_minutiae
    by_images = {
        entries.SIFT: file_methods.register_by_sift,
        entries.PHASE: file_methods.register_by_phase,
    }[kind]
    return lambda a, b: by_images(a.prepared, b.prepared)


def _register_by_minutiae(a: OpenedFile, b: OpenedFile) -> FileResult:
    assert a.template and b.template  # see `require`
    result = minutiae_tps.register(a.template.minutiae, b.template.minutiae)
    point_map = file_methods.in_file_pixels(result.point_map, a.prepared, b.prepared)
    return FileResult(result.score, point_map)
