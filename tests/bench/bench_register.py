"""Speed of registration by the network that ships: python tests/bench/bench_register.py

Pairs of plain prints of 374 × 388 px, each print opened anew for every pair, and the same pairs
with prints that are open already, as in a table of pairs; beside SIFT + RANSAC, which gives no
dense map.
"""

import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import model  # noqa: E402, F401, I001 - says how many threads BLAS has, before numpy is there
import click  # noqa: E402
import cv2  # noqa: E402
from race import compare, race, render  # noqa: E402

from model.__main__ import SHIPPED  # noqa: E402
from model.register import Registrar, spread  # noqa: E402
from model.search import search  # noqa: E402
from pipeline.synthesis.generate import make_impression, make_master  # noqa: E402
from pipeline.synthesis.sensor import OPTICAL  # noqa: E402
from train import baseline  # noqa: E402

FINGERS = 4
MOST = 0.15  # seconds a pair
ONE_BY_ONE, OPEN, SIFT = "registration, one by one", "registration, prints open", "SIFT + RANSAC"


def measure():
    """The rows, and milliseconds of each stage below the table."""
    cv2.setNumThreads(1)
    images = [_images(finger) for finger in range(FINGERS)]
    start = time.perf_counter()
    registrar = Registrar(SHIPPED)
    registrar.register(images[0][0], 500, images[0][1], 500)
    ready = time.perf_counter() - start
    prints = [[registrar.open(image, 500) for image in pair] for pair in images]
    spent = race(
        {
            ONE_BY_ONE: lambda: [registrar.register(a, 500, b, 500) for a, b in images],
            OPEN: lambda: [registrar.register_prints(a, b) for a, b in prints],
            SIFT: lambda: [baseline.align(a, b, 1.0) for a, b in images],
        }
    )
    rows = [compare(spent, FINGERS, name, SIFT) for name in (ONE_BY_ONE, OPEN)]
    stages = ", ".join(f"{name} {1000 * s / FINGERS:.0f}" for name, s in _stages(registrar, images))
    cost = 1 / rows[0].rate
    return rows, [
        f"registration: {cost:.3f} core-seconds a pair ({MOST} s at most); ms: {stages}",
        f"registration: {ready:.1f} s by the wall from the checkpoint to the first answer",
    ]


def _images(finger):
    master = make_master(1, "bench", finger)
    return [make_impression(master, 1, "bench", finger, k, (OPTICAL,)).image for k in (0, 1)]


def _stages(registrar, images):
    """(name, seconds of processor time) of the stages, over all pairs."""
    marks = [time.process_time()]

    def mark():
        marks.append(time.process_time())

    prints = [[registrar.open(image, 500) for image in pair] for pair in images]
    mark()
    matches = [registrar.match(a, b) for a, b in prints]
    mark()
    found = [search(m, a.texture, b.texture)[0] for m, (a, b) in zip(matches, prints, strict=True)]
    mark()
    for one, (a, b) in zip(found, prints, strict=True):
        spread(one, a, b)
    mark()
    names = ("foreground and texture of both", "network", "map onto the ridges", "map of all px")
    return [(name, b - a) for name, a, b in zip(names, marks, marks[1:], strict=False)]


if __name__ == "__main__":
    found, remarks = measure()
    click.echo("\n".join([render(found), *remarks]))
