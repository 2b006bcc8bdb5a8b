"""Speed of the generator: python tests/bench/bench_synthesis.py

A master is compared with the resampling that its growth needs; an impression of each kind of sensor
with warping its two layers of skin, without noise; two processes that synthesize fingers with one,
in core-seconds per finger.
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

import click
import cv2
import numpy as np
from alternate import Row, compare, render, run_in_turn
from peak_memory import peak_megabytes

from pipeline.synthesis.frame import MASTER_SIZE
from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from pipeline.synthesis.growth import GrowthParameters
from pipeline.synthesis.sensor import STYLES
from pipeline.synthesis.touch import sample_touch

MASTERS, IMPRESSIONS = 2, 5  # of each style
MASTER_MOST, IMPRESSION_MOST = 0.7, 0.08  # core-seconds
MASTER, IMPRESSION = "synthetic masters", "synthetic impressions"
MEMORY_MOST = 300  # MB a process
FINGERS, SCALED = 4, 3  # drawn by each process, and how often that is timed
LINEAR = 0.9  # least ratio of one process's core-seconds a finger to those of two at once
ADDRESS = (1, "synthetic/bench")


def resampling():
    """Every sample that the filter takes in all rounds, by OpenCV alone."""
    growth = GrowthParameters()
    samples = 2 * growth.steps + 1 + len(growth.across)
    field = np.zeros(MASTER_SIZE, np.float32)
    y, x = np.mgrid[: MASTER_SIZE[0], : MASTER_SIZE[1]].astype(np.float32)
    for _ in range(MASTERS * growth.rounds * samples):
        cv2.remap(field, x, y, cv2.INTER_LINEAR)


def laying(master):
    """Warp the skin of one contact, as often as there are impressions."""
    for style in STYLES:
        for k in range(IMPRESSIONS):
            touch = sample_touch(np.random.default_rng(k), style.placement)
            at = touch.warp.dense(*touch.size).astype(np.float32)
            for layer in (master.ridges, master.relief):
                cv2.remap(layer, at[..., 0], at[..., 1], cv2.INTER_CUBIC)


def press(master):
    """Impressions of every style."""
    for style in STYLES:
        for k in range(IMPRESSIONS):
            synthesize_impression(master, *ADDRESS, 0, k, (style,))


def drawn(number):
    """Core-seconds of a finger with its impressions, and MB of the process that draws it."""
    cv2.setNumThreads(1)
    start = time.process_time()
    press(synthesize_master(*ADDRESS, number))
    return time.process_time() - start, peak_megabytes()


def by_processes(count):
    """Core-seconds a finger, and the most MB, where `count` processes draw FINGERS each."""
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        seconds, memory = zip(*pool.map(drawn, range(count * FINGERS)), strict=True)
    return float(np.mean(seconds)), max(memory)


def scaling():
    """The row of two processes, and the memory of one."""
    results = np.array([(by_processes(1), by_processes(2)) for _ in range(SCALED)])
    one, two = results[..., 0].T
    row = Row("fingers, 2 processes", 1 / float(np.median(two)), "one process", one / two, LINEAR)
    return row, float(results[..., 1].max())


def measure():
    """The rows of masters and impressions, and their core-seconds below the table."""
    cv2.setNumThreads(1)
    master = synthesize_master(*ADDRESS, 0)
    grow, lay = "their resampling alone", "laying the skin alone"
    spent = run_in_turn(
        {
            MASTER: lambda: [synthesize_master(*ADDRESS, k) for k in range(MASTERS)],
            grow: resampling,
            IMPRESSION: lambda: press(master),
            lay: lambda: laying(master),
        }
    )
    pressed = len(STYLES) * IMPRESSIONS
    row, memory = scaling()
    rows = [
        compare(spent, MASTERS, MASTER, grow),
        compare(spent, pressed, IMPRESSION, lay),
        row,
    ]
    note = (
        f"synthesis: {1 / rows[0].rate:.2f} core-seconds a master ({MASTER_MOST} at most), "
        f"{1 / rows[1].rate:.3f} an impression ({IMPRESSION_MOST} at most); "
        f"{memory:.0f} MB a process ({MEMORY_MOST} at most)"
    )
    return rows, [note]


if __name__ == "__main__":
    results, remarks = measure()
    click.echo("\n".join([render(results), *remarks]))
