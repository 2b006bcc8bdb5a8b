"""What the Makefile promises beside what its commands' own tests hold."""

import re
from pathlib import Path

from pipeline.split import split_of

MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text()


def test_the_demo_registers_a_finger_that_was_held_out():
    fingers = set(re.findall(r"(\d{5})_\d\.png", MAKEFILE))
    assert len(fingers) == 1
    assert split_of(f"synthetic/demo/{fingers.pop()}") == "test"
