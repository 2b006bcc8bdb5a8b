"""Kill a real build again and again: python tests/support/kills.py IMAGES OUT KILLS [SEED]

Each time a child process builds in OUT until a random number of further shards is finished or
started, and is then killed with SIGKILL together with its workers. Prints the number of finished
shards after each kill. A test completes the set and compares the bytes.
"""

import contextlib
import dataclasses
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import configs
from pipeline import catalog
from pipeline.building.build import BuildOptions, build

SPEC = dataclasses.replace(configs.load().pipeline, pairs_per_shard=8)
PARTITION = "fvc2002/db1_a"
POOLED = 5  # one build of so many has two processes, which take longer to start


def build_set(images, out, workers):
    """Build a set, or resume its build."""
    selection = catalog.discover([images]).select([PARTITION])
    return build(SPEC, selection, out, BuildOptions(workers))


def child(images, out, workers):
    """Fork a process that builds; return its number. No reader was used before, so it may fork."""
    if number := os.fork():
        return number
    os.setsid()
    status = 1
    try:
        build_set(images, out, workers)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def kill_once(images, out, workers, rng):
    """Kill a build after one or two more shards; return False where it ended before."""
    wanted = len(shards(out)) + rng.randrange(2)
    number = child(images, out, workers)
    while len(shards(out)) < wanted or not list(out.glob("*/.*.tmp")):
        ended, status = os.waitpid(number, os.WNOHANG)
        if ended and status:
            raise ChildProcessError(f"a build failed with the status {status}")
        if ended:
            return False
        time.sleep(0.0005)
    time.sleep(rng.choice([0, rng.uniform(0, 0.03)]))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(number, 0)[1])


def shards(out):
    """Return the finished shards."""
    return sorted(out.glob("*/*.arrayrecord"))


def main(images, out, kills, seed=0):
    """Return the number of finished shards after each kill."""
    rng, counts = random.Random(seed), []
    while len(counts) < kills:
        if kill_once(images, out, 2 if len(counts) % POOLED == 0 else 1, rng):
            counts.append(len(shards(out)))
        else:  # the set is complete: delete half of it and go on
            for path in shards(out)[::2]:
                path.unlink()
    return counts


if __name__ == "__main__":
    numbers = map(int, sys.argv[3:])
    sys.stdout.write(" ".join(map(str, main(Path(sys.argv[1]), Path(sys.argv[2]), *numbers))))
