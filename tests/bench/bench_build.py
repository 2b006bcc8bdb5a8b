"""Speed of the build: python tests/bench/bench_build.py

Processor seconds of one core, as ratios to three others: a floor (decode each original once, the
bare cropping warps, write the records), that floor with the corruptions themselves, and what public
code does (decode, resize, corrupt and rotate anew for every pair). The floor finds no finger, draws
nothing, fills no frame, knows no truth and checks no source: no build that keeps its promises
reaches it.
"""

import cProfile
import itertools
import pstats
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402
from prints import finger  # noqa: E402
from race import Row, compare, race, render  # noqa: E402

from pipeline.build import build  # noqa: E402
from pipeline.impression import Impression  # noqa: E402
from pipeline.noise import apply, sample  # noqa: E402
from pipeline.spec import PipelineSpec  # noqa: E402
from shards import store  # noqa: E402

IMAGES, DIFFERENT, SIDE, PAIRS = 240, 12, 500, 4
LONG = 4  # times as many images, where the start of processes is to weigh little
KINDS = ("sensor", "dryness", "pressure", "sensor")
FULL = 100_000
PARTITION = "sd302/A"
BUILD, CORRUPTED, ON_THE_FLY = "build", "floor with corruptions", "on the fly"
STAGES = {
    "decode": "decode",
    "sha256, twice": "_hash",
    "foreground": "foreground",
    "window": "window",
    "noise": "apply",
    "crop": "render",
    "truth": "_truth",
    "encode": "encode",
    "write, read back": "write_shard",
}


def draw(root):
    """Images as PNG files of SIDE x SIDE px, one a finger."""
    encoded = []
    for seed in range(DIFFERENT):
        image = finger(seed, SIDE, SIDE).astype(float)
        grainy = np.random.default_rng(seed).normal(0, 4, image.shape) + image
        encoded.append(cv2.imencode(".png", np.clip(grainy, 0, 255).astype(np.uint8))[1].tobytes())
    found = []
    for k in range(LONG * IMAGES):
        path = root / f"{2400 + k:08d}_A_roll_01.png"
        path.write_bytes(encoded[k % DIFFERENT])
        person = f"nist/{2400 + k:08d}"
        found.append(
            Impression(path, f"{PARTITION}/{path.stem}", PARTITION, person, f"{person}/01", 500.0)
        )
    return found


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
    store.write_shard(out / "train/sd302-A-00000-of-00001.arrayrecord", records)


def on_the_fly(images):
    """Each pair from its file: decode, squash, corrupt, rotate; no ground truth, nothing kept."""
    rng = np.random.default_rng(0)
    for impression in images:
        for kind in KINDS:
            image = cv2.imdecode(np.frombuffer(impression.path.read_bytes(), np.uint8), 0)
            corrupted = apply(image, sample(kind, rng))
            turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-60, 60), 1.0)
            turned = cv2.warpAffine(corrupted, turn, (SIDE, SIDE))
            for made in (image, turned):
                cv2.resize(made, (128, 128), interpolation=cv2.INTER_AREA)


def stages(action, pairs):
    """Microseconds a pair of each stage, by the profiler."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(action)
    spent = {}
    for (_, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():
        spent[name] = max(spent.get(name, 0.0), cumulative)
    inner = sum(spent.get(name, 0) for name in ("_records",))
    spent["write_shard"] = spent.get("write_shard", 0) - inner
    return {label: 1e6 * spent.get(name, 0.0) / pairs for label, name in STAGES.items()}


class Bench:
    """The images, and builds of them into ever new folders."""

    def __init__(self, root):
        self.root, self.images, self.numbers = root, draw(root), itertools.count()
        self.few = self.images[:IMAGES]

    def build(self, images, workers=1):
        out = self.root / f"set{next(self.numbers)}"
        build(PipelineSpec(pairs_per_shard=240), {PARTITION: images}, out, workers)
        return out

    def speed(self):
        """Rows of one core's work, the pairs it made, MB that it took."""
        shards = store.open_set(self.build(self.few))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        splits = [(split, shards.count(split)) for split in ("train", "val", "test")]
        records = [data for split, n in splits for data in shards.read(split, range(n))]
        spent = race(
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
        """The row of two processes: what more images cost one, over twice what they cost two."""
        spent = race(
            {
                (workers, len(images)): lambda images=images, workers=workers: self.build(
                    images, workers
                )
                for workers in (1, 2)
                for images in (self.few, self.images)
            },
            rounds=3,
            clock=time.perf_counter,
        )
        one, two = (spent[w, LONG * IMAGES] - spent[w, IMAGES] for w in (1, 2))
        rate = (LONG - 1) * pairs / np.median(two)
        return Row("build, 2 processes (wall)", rate, "twice one process", one / two / 2, 0.9)


def measure():
    """The rows of the build, and remarks below the table."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        rows, pairs, memory = bench.speed()
        spent = stages(lambda: bench.build(bench.few), pairs)
        rows.append(bench.scaling(pairs))
    notes = [
        f"build: {FULL / rows[0].rate:.0f} core-seconds for {FULL:,} pairs (250 at most), "
        f"{memory:.0f} MB of memory (400 at most); µs a pair, under the profiler:",
        ", ".join(f"{label} {microseconds:.0f}" for label, microseconds in spent.items()),
    ]
    return rows, notes


if __name__ == "__main__":
    found, remarks = measure()
    click.echo("\n".join([render(found), *remarks]))
