"""Speed of the build: python tests/bench/bench_build.py

All figures are processor seconds of one core, and ratios to two others of the same run, so that
machines and their load compare: a floor (decode each original once, the bare cropping warps, write
the records) and what public code does (decode, resize, corrupt and rotate anew for every pair).
"""

import cProfile
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

from pipeline.build import build  # noqa: E402
from pipeline.impression import Impression  # noqa: E402
from pipeline.noise import apply, sample  # noqa: E402
from pipeline.spec import PipelineSpec  # noqa: E402
from shards import store  # noqa: E402

IMAGES, DIFFERENT, SIDE, PAIRS = 240, 12, 500, 4
FULL = 100_000
PARTITION = "sd302/A"
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
    for k in range(IMAGES):
        path = root / f"{2400 + k:08d}_A_roll_01.png"
        path.write_bytes(encoded[k % DIFFERENT])
        person = f"nist/{2400 + k:08d}"
        found.append(
            Impression(path, f"{PARTITION}/{path.stem}", PARTITION, person, f"{person}/01", 500.0)
        )
    return found


def cpu(action, runs=3):
    """Processor seconds of the fastest of several runs."""
    spent = []
    for _ in range(runs):
        start = time.process_time()
        action()
        spent.append(time.process_time() - start)
    return min(spent)


def floor(images, records, out):
    """Decode each original once, blur and warp its five crops, write its four records."""
    matrix = np.array([[2.0, -1.0, 250.0], [1.0, 2.0, 60.0]])
    for impression in images:
        image = cv2.imdecode(np.frombuffer(impression.path.read_bytes(), np.uint8), 0)
        for _ in range(PAIRS + 1):
            blurred = cv2.GaussianBlur(image[42:458, 42:458], (5, 5), 1.0)
            cv2.warpAffine(blurred, matrix, (128, 128), flags=cv2.WARP_INVERSE_MAP)
    store.write_shard(out / "train/sd302-A-00000-of-00001.arrayrecord", records)


def on_the_fly(images):
    """Each pair from its file: decode, squash, corrupt, rotate; no ground truth, nothing kept."""
    rng = np.random.default_rng(0)
    for impression in images:
        for kind in ("sensor", "dryness", "pressure", "sensor"):
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


def main():
    """Measure and say."""
    cv2.setNumThreads(1)
    spec = PipelineSpec(pairs_per_shard=1000)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        images = draw(root)
        numbers = iter(range(100))

        def whole():
            out = root / f"set{next(numbers)}"
            return build(spec, {PARTITION: images}, out, 1), out

        report, out = whole()
        pairs = sum(entry.records for entry in report.entries)
        shards = store.open_set(out)
        records = [
            d for s in ("train", "val", "test") for d in shards.read(s, range(shards.count(s)))
        ]
        ours = cpu(whole) / pairs
        least = cpu(lambda: floor(images, records, root / "floor")) / pairs
        public = cpu(lambda: on_the_fly(images)) / pairs
        figures = f"{FULL * ours:.0f} core-seconds for {FULL:,}"
        click.echo(f"build      {1e6 * ours:7.0f} µs a pair; {figures}")
        click.echo(f"floor      {1e6 * least:7.0f} µs a pair; {least / ours:.2f} of the build")
        click.echo(f"on the fly {1e6 * public:7.0f} µs a pair; {public / ours:.1f} times the build")
        for label, spent in stages(whole, pairs).items():
            click.echo(f"  {label:18s} {spent:6.0f} µs")
        click.echo(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
