"""Speed of registration by the network that ships: python tests/bench/bench_register.py

Pairs of plain impressions of 374 × 388 px: with every impression read again for every pair, and
with impressions that are prepared already; compared with SIFT + RANSAC, which gives no dense map.
Hard pairs, as FVC2004 has them (twisted, dry, displaced), compared with the plain ones. And a table
of MANY pairs in wall time, compared with one process per pair, and with one warm process that
registers pair after pair and reads every impression again.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import click
import cv2
import numpy as np
from alternate import Row, compare, render, run_in_turn

from model.__main__ import SHIPPED
from model.registration.hypotheses import best_hypothesis
from model.registration.impression import map_in_file_pixels
from model.registration.register_table import register_table
from model.registration.registrar import Registrar
from pipeline import degradation
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.generate import synthesize_master
from pipeline.synthesis.manner import DISPLACED, DRY, PLAIN, TWISTED, WET
from pipeline.synthesis.sensor import OPTICAL, synthesize_image
from pipeline.synthesis.touch import sample_touch
from train.evaluation import sift

FINGERS = 8
MOST = 0.15  # seconds a pair
MANY, SAMPLES = 1000, 3
FASTER = 3.0  # times, that a table is to be
HARDER = 4.0  # times the core-seconds of a plain pair, at most
HARD_MANNERS = ((TWISTED, DRY), (TWISTED, TWISTED), (DISPLACED, TWISTED), (WET, TWISTED))
HARD = "registration, hard pairs, prints open"
ONE_BY_ONE, OPEN, SIFT = "registration, one by one", "registration, prints open", "SIFT + RANSAC"


def measure():
    """The rows, and milliseconds of each stage below the table."""
    cv2.setNumThreads(1)
    images = [_images(finger) for finger in range(FINGERS)]
    start = time.perf_counter()
    registrar = Registrar(SHIPPED)
    registrar.register(images[0][0], 500, images[0][1], 500)
    ready = time.perf_counter() - start
    impressions = _prepare(registrar, images)
    hard = _prepare(registrar, [_hard_images(finger) for finger in range(2 * FINGERS)])
    spent = run_in_turn(
        {
            ONE_BY_ONE: lambda: [registrar.register(a, 500, b, 500) for a, b in images],
            OPEN: lambda: [registrar.register_impressions(a, b) for a, b in impressions],
            HARD: lambda: [registrar.register_impressions(a, b) for a, b in hard],
            SIFT: lambda: [sift.align(a, b, 1.0) for a, b in images],
        }
    )
    spent[HARD] /= len(hard) / FINGERS
    rows = [compare(spent, FINGERS, name, SIFT) for name in (ONE_BY_ONE, OPEN)]
    rows.append(compare(spent, FINGERS, HARD, OPEN, 1 / HARDER))
    many, starts, in_table = _many(registrar, images)
    stages = ", ".join(f"{name} {1000 * s / FINGERS:.0f}" for name, s in _stages(registrar, images))
    cost = 1 / rows[0].rate
    return rows + many, [
        f"registration: {cost:.3f} core-seconds a pair ({MOST} s at most); ms: {stages}",
        f"registration: {1 / rows[1].rate:.3f} core-seconds a plain pair, prints open, and"
        f" {1 / rows[2].rate:.3f} a hard one",
        f"registration: {ready:.1f} s by the wall from the checkpoint to the first answer",
        f"registration: a process for one pair {starts[0]:.1f} s by the wall, compiling, then "
        + ", ".join(f"{s:.1f}" for s in starts[1:]),
        f"registration: {in_table:.3f} core-seconds a pair of the table, starts included: were all"
        f" cores idle, {len(os.sched_getaffinity(0)) * cost / in_table:.1f} times one warm process",
    ]


def _many(registrar, images):
    """The rows of a table of MANY pairs, the seconds of processes that register one pair, and the
    core-seconds of a pair in the table, starts included."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        paths = [
            [Path(folder) / f"{k}_{n}.png" for n in range(len(pair))]
            for k, pair in enumerate(images)
        ]
        for files, pair in zip(paths, images, strict=True):
            for path, image in zip(files, pair, strict=True):
                cv2.imwrite(str(path), image)
        rows = [paths[k % len(paths)] for k in range(MANY)]
        table = Path(folder) / "pairs.csv"
        table.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in rows))
        warm, starts = [], [_start(rows[0], folder)]
        for _ in range(SAMPLES):
            starts.append(_start(rows[0], folder))
            warm.append(_warm(registrar, images, folder))
        start, before = time.perf_counter(), os.times()
        register_table(SHIPPED, table, Path(folder) / "answers")
        spent, after = (time.perf_counter() - start) / MANY, os.times()
        warm.append(_warm(registrar, images, folder))
    name = f"a table of {MANY} pairs"
    against = (("a process a pair", starts[1:]), ("one warm process", warm))
    rows = [Row(name, 1 / spent, what, np.array(of) / spent, FASTER) for what, of in against]
    cost = sum(after[:4]) - sum(before[:4])  # of this process and of the others, ended by now
    return rows, starts, cost / MANY


def _start(pair, folder):
    """Seconds that a process takes to register one pair of files."""
    command = [sys.executable, "-m", "model", "register", *pair, "--out", f"{folder}/one.npz"]
    start = time.perf_counter()
    subprocess.run(list(map(str, command)), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _warm(registrar, images, folder):
    """Seconds a pair of a warm process that opens its prints for every pair, and saves as well."""
    start = time.perf_counter()
    for a, b in images:
        registrar.register(a, 500, b, 500).save(Path(folder) / "one.npz")
    return (time.perf_counter() - start) / len(images)


def _images(finger, manners=(PLAIN, PLAIN)):
    """Two touches; of hard ones the ridges leave more doubt, and more maps are tried."""
    master, rng = synthesize_master(1, "bench", finger), np.random.default_rng(finger)
    touches = [sample_touch(rng, OPTICAL.placement, manner) for manner in manners]
    return [
        synthesize_image(OPTICAL, *compute_contact(master, touch, rng), rng) for touch in touches
    ]


def _hard_images(finger):
    """Two touches in hard manners, the second one degraded by dryness as in training."""
    a, b = _images(finger, HARD_MANNERS[finger % len(HARD_MANNERS)])
    return a, degradation.apply(b, degradation.sample("dryness", np.random.default_rng(finger)))


def _prepare(registrar, images):
    """The impressions of all pairs."""
    return [[registrar.prepare(image, 500) for image in pair] for pair in images]


def _stages(registrar, images):
    """(name, seconds of processor time) of the stages, over all pairs."""
    marks = [time.process_time()]

    def mark():
        marks.append(time.process_time())

    impressions = _prepare(registrar, images)
    mark()
    matches = [registrar.match(a, b) for a, b in impressions]
    mark()
    results = [
        best_hypothesis(m, a.ridge_image, b.ridge_image)[0]
        for m, (a, b) in zip(matches, impressions, strict=True)
    ]
    mark()
    for one, (a, b) in zip(results, impressions, strict=True):
        map_in_file_pixels(one, a, b)
    mark()
    names = ("foreground and texture of both", "network", "map onto the ridges", "map of all px")
    return [(name, b - a) for name, a, b in zip(names, marks, marks[1:], strict=False)]


if __name__ == "__main__":
    results, remarks = measure()
    click.echo("\n".join([render(results), *remarks]))
