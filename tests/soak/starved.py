"""Attacks on commands: special files in the place of inputs and outputs, and too little memory.

Each function yields, for every attack, None where it was held, or what happened. An attack is held
where the command ends within a minute, without a traceback and not by a signal.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
from damaged import write_network
from prints import finger
from training import make_set

ROOT = Path(__file__).parents[2]
PATIENCE = 60  # s
STARVED = 'ulimit -v "$0"; exec "$@"'  # kB of address space
POOLED = ("build", "verify", "table of pairs")  # commands that have --workers
OUTPUTS = ("built", "maps")  # folders of theirs
MEMORY = range(400_000, 2_200_000, 150_000)  # kB; below, Python itself does not start


def use_special_files(folder, seconds):
    """Give every command every special file: it is refused, and no device is replaced."""
    prepare(folder)
    cases = [
        (kind, name, position)
        for kind in KINDS
        for name, arguments in commands(folder).items()
        for position, argument in enumerate(arguments)
        # a sparse file may be replaced by the output
        if isinstance(argument, Path) and (kind, arguments[position - 1]) != ("sparse", "--out")
    ]
    for kind, name, position in shuffled(cases, seconds):
        arguments = commands(folder)[name]
        special = folder / f"{kind}{arguments[position].suffix}"
        if not os.path.lexists(special):
            KINDS[kind](special)
        before = os.lstat(special)
        failure = run([*arguments[:position], special, *arguments[position + 1 :]], (1, 2))
        if os.lstat(special)[:2] != before[:2]:
            failure = "the special file was replaced"
        yield failure and f"{name}, {kind} for {arguments[position].name}: {failure}"


def starve(folder, seconds):
    """Take memory from commands: they do their work, or say what they lack."""
    prepare(folder)
    cases = [
        (kilobytes, name, workers)
        for kilobytes in MEMORY
        for name in commands(folder)
        for workers in (1, 2)[: 1 + (name in POOLED)]
    ]
    for kilobytes, name, workers in shuffled(cases, seconds):
        for out in OUTPUTS:
            shutil.rmtree(folder / out, ignore_errors=True)
        more = ["--workers", workers] if name in POOLED else []
        limited = ["bash", "-c", STARVED, str(kilobytes)]
        failure = run([*commands(folder)[name], *more], (0, 1), limited)
        yield failure and f"{name}, {kilobytes} kB, {workers} workers: {failure}"


def shuffled(cases, seconds):
    """Yield the cases in a fixed random order for a time."""
    deadline = time.monotonic() + seconds
    for case in random.Random(0).sample(cases, len(cases)):
        if time.monotonic() > deadline:
            return
        yield case


def prepare(folder):
    """Write images, a shard set, a network and a table of pairs."""
    (folder / "data" / "DB1_B").mkdir(parents=True)
    for number in range(101, 105):
        for k in (1, 2):
            path = folder / "data" / "DB1_B" / f"{number}_{k}.tif"
            cv2.imwrite(str(path), finger([number, k], 190, 180))
    make_set(folder / "set")
    write_network(folder / "network.safetensors")
    a, b = (folder / "data" / "DB1_B" / f"101_{k}.tif" for k in (1, 2))
    (folder / "pairs.csv").write_text(f"a,b\n{a},{b}\n{b},{a}\n")


def commands(folder):
    """Return the commands, each with paths as the arguments that an attack may replace."""
    a, b = (folder / "data" / "DB1_B" / f"101_{k}.tif" for k in (1, 2))
    network, settings = folder / "network.safetensors", ("--set", "pipeline.pairs_per_shard=4")
    build = ("pipeline", "build", "--data", folder / "data", "--partition", "fvc2002/db1_b")
    table = ("model", "register", "--pairs", folder / "pairs.csv", "--checkpoint", network)
    return {
        "build": [*build, *settings, "--out", folder / "built"],
        "verify": ["shards", "verify", "--deep", folder / "set"],
        "register": ["model", "register", a, b, "--checkpoint", network, "--out", folder / "m.npz"],
        "table of pairs": [*table, "--out", folder / "maps"],
    }


def run(arguments, expected, before=()):
    """Run a command; return None, or why it does not count as held."""
    command = [*before, sys.executable, "-m", *map(str, arguments)]
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            output, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            return f"runs after {PATIENCE} s"
    if "Traceback" in output or process.returncode not in expected:
        return f"status {process.returncode}: {output[-500:]}"
    return None


def make_sparse(path):
    """Write a file of 300 GB without content."""
    with path.open("wb") as file:
        file.truncate(300 * 10**9)


KINDS = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "empty device": lambda path: path.symlink_to("/dev/null"),
    "sparse": make_sparse,
    "loop": lambda path: path.symlink_to(path),
}
