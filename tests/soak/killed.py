"""Attacks on long work: it is killed at random moments, then ends as if it never had been.

Each function yields, for every attack, None where it was held, or what happened.
"""

import itertools
import subprocess
import sys
import time

import cv2
import kills
import lives
from prints import finger
from set_files import content
from training import make_set

FINGERS = 40  # of the set that is built
KILLS = 5  # between two comparisons with the result of undisturbed work


def rounds(seconds):
    """Yield numbers for a time."""
    deadline = time.monotonic() + seconds
    yield from itertools.takewhile(lambda _: time.monotonic() < deadline, itertools.count())


def kill_builds(folder, seconds):
    """Kill builds; the set that is then completed has the bytes of one build."""
    images = folder / "data" / "DB1_A"
    images.mkdir(parents=True)
    for number in range(1, FINGERS + 1):
        cv2.imwrite(str(images / f"{number}_1.tif"), finger([number, 1], 190, 180))
    data, expected = folder / "data", None
    for number in rounds(seconds):
        out = folder / f"killed{number}"
        script = [sys.executable, kills.__file__, *map(str, (data, out, KILLS, number))]
        done = subprocess.run(script, capture_output=True, text=True)
        if expected is None:
            kills.build_set(data, folder / "straight", 1)
            expected = content(folder / "straight")
        kills.build_set(data, out, 1)
        is_held = done.returncode == 0 and content(out) == expected
        yield from [None if is_held else f"round {number} differs: {done.stderr[-500:]}"] * KILLS


def kill_trainings(folder, seconds):
    """Kill trainings; latest is whole after each, and the run ends with the same bytes."""
    shards = make_set(folder / "set").directory
    for number in rounds(seconds):
        try:
            after = lives.run_lives(shards, folder, KILLS, number)
            lives.assert_same_run(folder / "straight", folder / "killed")
        except AssertionError as error:
            yield from [f"round {number}: {error}"[:1000]] * KILLS
            return
        yield from (None if line.endswith(" []") else line for line in after)
        (folder / "killed").rename(folder / f"killed{number}")
