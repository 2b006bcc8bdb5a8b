"""Helpers of build tests: images of two databases, builds of them, the files of a set."""

import dataclasses
import sys

import cv2
from prints import finger

import configs
from pipeline import catalog
from pipeline.building import state
from pipeline.building.build import BuildOptions, build

SPEC = dataclasses.replace(configs.load().pipeline, pairs_per_shard=20)
PARTITIONS = ("fvc2002/db1_b", "fvc2002/db3_b")


def two_databases(root):
    """Write two of FVC2002's databases of ten fingers below `root`; return `root`."""
    for database in ("DB1_B", "DB3_B"):
        (root / database).mkdir()
        for number in range(101, 111):
            image = finger([number, ord(database[2])], 190, 180)
            cv2.imwrite(str(root / database / f"{number}_1.tif"), image)
    return root


def content(out):
    """Return every file of the set and its bytes, without the state of the build."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and state.FOLDER not in path.parts
    }


def select(root, partitions=PARTITIONS):
    """Return the impressions of partitions below `root`."""
    return catalog.discover([root]).select(partitions)


def build_set(root, out, spec=SPEC, partitions=PARTITIONS, warn=lambda _: None, **options):
    """Build a set in this process; `options` are those of BuildOptions."""
    options = BuildOptions(**{"workers": 1, **options})
    return build(spec, select(root, partitions), out, options, warn)


def command(root, out, *more):
    """Return the command line that builds the same set."""
    return [
        *(sys.executable, "-m", "pipeline", "build", "--out", str(out), "--data", str(root)),
        *("--partition", ",".join(PARTITIONS), "--set", "pipeline.pairs_per_shard=20", *more),
    ]
