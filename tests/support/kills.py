"""Kill a real build again and again: python tests/support/kills.py IMAGES OUT KILLS

Each time a child process builds on in OUT until a drawn number of further shards is there, or has
just been begun, and is then killed with SIGKILL, its workers too. Prints how many shards there were
each time. A test ends what this leaves, and looks at the bytes.
"""

import contextlib
import dataclasses
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import configs
from pipeline import catalog
from pipeline.building.build import BuildOptions, build

SPEC = dataclasses.replace(configs.load().pipeline, pairs_per_shard=8)
PARTITION = "fvc2002/db1_a"
POOLED = 5  # of so many builds one has two processes, whose start takes longer


def build_set(images, out, workers):
    """Build a set, or resume its build."""
    selection = catalog.discover([images]).select([PARTITION])
    return build(SPEC, selection, out, BuildOptions(workers))


def child(images, out, workers):
    """The number of a new process that builds; no reader was ever used here, so it may fork."""
    if number := os.fork():
        return number
    os.setsid()
    try:
        build_set(images, out, workers)
    finally:
        os._exit(0)


def kill_once(images, out, workers, rng):
    """Let a build make a shard or two more, and a part of the next; whether it could be killed."""
    wanted = len(shards(out)) + rng.randrange(2)
    number = child(images, out, workers)
    while len(shards(out)) < wanted or not list(out.glob("*/.*.tmp")):
        if os.waitpid(number, os.WNOHANG)[0]:
            return False
        time.sleep(0.0005)
    time.sleep(rng.choice([0, rng.uniform(0, 0.03)]))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(number, 0)[1])


def shards(out):
    """The shards that are there."""
    return sorted(out.glob("*/*.arrayrecord"))


def main(images, out, kills):
    """How many shards were there after each of the kills."""
    rng, there = random.Random(0), []
    while len(there) < kills:
        if kill_once(images, out, 2 if len(there) % POOLED == 0 else 1, rng):
            there.append(len(shards(out)))
        else:  # it came to its end: half of it is lost, so that there is more to do
            for path in shards(out)[::2]:
                path.unlink()
    return there


if __name__ == "__main__":
    sys.stdout.write(
        " ".join(map(str, main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
    )
