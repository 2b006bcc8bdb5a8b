"""Speed of the build: python tests/bench/bench_build.py

Processor seconds of one core, as ratios to three others: a floor (decode each original once,
warp the crops, write the records), that floor with the degradations, and the way of public code
(decode, resize, degrade and rotate for every pair). The floor segments no finger, samples no
parameters, fills no border, computes no ground truth and hashes no source: a complete build cannot
reach it.
"""

import collections
import itertools
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

import click
import cv2
import numpy as np
from alternate import Row, compare, render, run_in_turn
from peak_memory import peak_megabytes
from prints import finger

from pipeline.building.build import BuildOptions, build
from pipeline.degradation import apply, sample
from pipeline.impression import Impression
from pipeline.spec import PipelineSpec
from shards import shard_file, store
from shards.foundation import pool

IMAGES, DIFFERENT, SIDE, PAIRS = 240, 12, 500, 4
LONG = 3  # times as many images, where the start of processes is to weigh little
SAMPLED = 3  # builds
BESIDE = 0.1  # cores that other work may take for times by the wall to mean something
KINDS = ("sensor", "dryness", "pressure", "sensor")
FULL = 100_000
PARTITION = "sd302/A"
BUILD, CORRUPTED, ON_THE_FLY = "build", "floor with corruptions", "on the fly"
STAGES = {
    "decode": "decode",
    "read": "read",
    "sha256": "_read_source",
    "foreground": "foreground",
    "place of the crop": "sample_centre",
    "window": "window",
    "noise": "apply",
    "crop": "render",
    "truth": "_ground_truth",
    "encode": "encode",
    "write, read back": "write_shard",
    "the rest of a pair": "make_pair",
    "the rest of an image": "prepare_impression",
}


def draw(root):
    """Images as PNG files of SIDE x SIDE px, one a finger."""
    encoded = []
    for seed in range(DIFFERENT):
        image = finger(seed, SIDE, SIDE).astype(float)
        grainy = np.random.default_rng(seed).normal(0, 4, image.shape) + image
        encoded.append(cv2.imencode(".png", np.clip(grainy, 0, 255).astype(np.uint8))[1].tobytes())
    results = []
    for k in range(LONG * IMAGES):
        path = root / f"{2400 + k:08d}_A_roll_01.png"
        path.write_bytes(encoded[k % DIFFERENT])
        person = f"nist/{2400 + k:08d}"
        results.append(
            Impression(path, f"{PARTITION}/{path.stem}", PARTITION, person, f"{person}/01", 500.0)
        )
    return results


def floor(images, records, out, corrupt=False):
    """Decode each original once, blur and warp its five crops, write its four records."""
    matrix = np.array([[2.0, -1.0, 250.0], [1.0, 2.0, 60.0]])
    rng = np.random.default_rng(0)
    for impression in images:
        image = cv2.imdecode(np.frombuffer(impression.path.read_bytes(), np.uint8), 0)
        window = image[42:458, 42:458]
        for kind in ("none", *KINDS):
            shown = apply(window, sample(kind, rng)) if corrupt else window
            blurred = cv2.GaussianBlur(shown, (5, 5), 1.0)
            cv2.warpAffine(blurred, matrix, (128, 128), flags=cv2.WARP_INVERSE_MAP)
    shard_file.write_shard(out / "train/sd302-A-00000-of-00001.arrayrecord", records)


def on_the_fly(images):
    """Each pair from its file: decode, resize, degrade, rotate; no ground truth, no cache."""
    rng = np.random.default_rng(0)
    for impression in images:
        for kind in KINDS:
            image = cv2.imdecode(np.frombuffer(impression.path.read_bytes(), np.uint8), 0)
            corrupted = apply(image, sample(kind, rng))
            turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-60, 60), 1.0)
            turned = cv2.warpAffine(corrupted, turn, (SIDE, SIDE))
            for result in (image, turned):
                cv2.resize(result, (128, 128), interpolation=cv2.INTER_AREA)


def stages(action, pairs):
    """Microseconds a pair of each stage: where samples of the stack, one a ms, find the build.

    A profiler that traces every call would overestimate functions with many calls.
    """
    labels = {name: label for label, name in STAGES.items()}
    results = collections.Counter()

    def sample(_, frame):
        while frame and frame.f_code.co_name not in labels:
            frame = frame.f_back
        results[labels[frame.f_code.co_name] if frame else "all else"] += 1

    before, start = signal.signal(signal.SIGPROF, sample), time.process_time()
    signal.setitimer(signal.ITIMER_PROF, 1e-3, 1e-3)
    try:
        for _ in range(SAMPLED):
            action()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    spent = 1e6 * (time.process_time() - start) / pairs / SAMPLED
    total = results.total()
    return {label: spent * results[label] / total for label in [*STAGES, "all else"]}


def clocks():
    """Seconds by the wall, of own processor time, ended processes' too, and of the machine's."""
    ticks = Path("/proc/stat").read_text().split()[1:9]  # user, nice, system, idle, iowait, …
    busy = sum(int(n) for k, n in enumerate(ticks) if k not in (3, 4)) / os.sysconf("SC_CLK_TCK")
    return np.array([time.perf_counter(), sum(os.times()[:4]), busy])


class Bench:
    """The images, and builds of them into ever new folders."""

    def __init__(self, root):
        self.root, self.images, self.numbers = root, draw(root), itertools.count()
        self.few = self.images[:IMAGES]

    def build(self, images, workers=1):
        out = self.root / f"set{next(self.numbers)}"
        build(PipelineSpec(pairs_per_shard=240), {PARTITION: images}, out, BuildOptions(workers))
        return out

    def speed(self):
        """Rows of one core's work, the number of pairs, the memory in MB."""
        shards = store.open_set(self.build(self.few))
        memory = peak_megabytes()
        splits = [(split, shards.count(split)) for split in ("train", "val", "test")]
        records = [data for split, n in splits for data in shards.read(split, range(n))]
        spent = run_in_turn(
            {
                BUILD: lambda: self.build(self.few),
                "floor": lambda: floor(self.few, records, self.root / "floor"),
                CORRUPTED: lambda: floor(self.few, records, self.root / "floor", corrupt=True),
                ON_THE_FLY: lambda: on_the_fly(self.few),
            }
        )
        rows = [
            compare(spent, len(records), BUILD, "floor", 0.6),
            compare(spent, len(records), BUILD, CORRUPTED),
            compare(spent, len(records), BUILD, ON_THE_FLY, 1.0),
        ]
        return rows, len(records), memory

    def scaling(self, pairs):
        """The rows of two processes: what more images cost one, over what they cost two; a remark.

        Core-seconds tell on a machine with other work too; by the wall it needs two free cores, and
        the row is left out where these were not to be had.
        """
        spent = run_in_turn(
            {
                (workers, len(images)): lambda images=images, workers=workers: self.build(
                    images, workers
                )
                for workers in (1, 2)
                for images in (self.few, self.images)
            },
            rounds=3,
            clock=clocks,
        )
        wall, own, busy = np.sum([seconds.sum(0) for seconds in spent.values()], 0)
        beside = max(0.0, busy - own) / wall
        one, two = ((spent[w, LONG * IMAGES] - spent[w, IMAGES]).T for w in (1, 2))
        rates, aim = (LONG - 1) * pairs / np.median(two, 1), 0.9
        rows = [Row("build, 2 processes", rates[1], "one process", one[1] / two[1], aim)]
        if beside < BESIDE:
            ratios = one[0] / two[0] / 2
            rows.append(
                Row("build, 2 processes (wall)", rates[0], "twice one process", ratios, aim)
            )
        measured = "by the wall too" if beside < BESIDE else "not by the wall"
        return rows, f"scaling: {measured}, other work took {beside:.2f} cores meanwhile"


def measure():
    """The rows of the build, and remarks below the table."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        rows, pairs, memory = bench.speed()
        spent = stages(lambda: bench.build(bench.few), pairs)
        scaling, remark = bench.scaling(pairs)
    rows += scaling
    notes = [
        f"build: {FULL / rows[0].rate:.0f} core-seconds for {FULL:,} pairs (250 at most), "
        f"{memory:.0f} MB of memory (400 at most); load of the machine {os.getloadavg()[0]:.1f} "
        f"on {pool.cores()} cores; µs a pair, sampled:",
        ", ".join(f"{label} {microseconds:.0f}" for label, microseconds in spent.items()),
        remark,
    ]
    return rows, notes


if __name__ == "__main__":
    results, remarks = measure()
    click.echo("\n".join([render(results), *remarks]))
