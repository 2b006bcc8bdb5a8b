"""Recognize from two file names that the images show different fingers.

Only names of published data sets are understood, and only two names of the same one are compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from shards.foundation.printable import counted

# Data set → pattern of a file name without extension; its groups together are the finger. In NIST's
# names the first field is the subject and the last one the FRGP; a plain thumb has a code of its
# own, and slaps and palms show no single finger.
PATTERNS = {
    "FVC": re.compile(r"(\d{1,3})_\d{1,2}"),
    "NIST": re.compile(r"(\d{8})_(?:[a-z0-9-]+_)+(0[1-9]|1[0-2])", re.I),
    "SOCOFing": re.compile(
        r"(\d{1,3})__[MF]_(left|right)_(thumb|index|middle|ring|little)_finger"
        r"(?:_(?:CR|Obl|Zcut))?",
        re.I,
    ),
}
PLAIN_THUMBS = {"11": "01", "12": "06"}  # FRGP of a plain thumb in a name of NIST → finger


def describe_difference(a: Path, b: Path) -> str | None:
    """Return in words that two file names state different fingers; None where they do not."""
    for name, pattern in PATTERNS.items():
        match_a, match_b = pattern.fullmatch(a.stem), pattern.fullmatch(b.stem)
        if match_a and match_b:
            finger_a, finger_b = _finger(match_a, name), _finger(match_b, name)
            if finger_a != finger_b:
                shown = " and ".join(" ".join(finger) for finger in (finger_a, finger_b))
                return (
                    f"the names {a.name} and {b.name} state two fingers, if they are named as in"
                    f" {name}: {shown}"
                )
            return None
    return None


def summarize_differences(pairs: Sequence[tuple[Path, Path]]) -> str | None:
    """Return how many of the pairs of file names state different fingers; None where none does."""
    described = [describe_difference(a, b) for a, b in pairs]
    differences = [difference for difference in described if difference]
    if not differences:
        return None
    count = f"{len(differences):,} of {counted(len(pairs), 'row')}"
    return f"{count} pair different fingers by their names; the first: {differences[0]}"


def _finger(match: re.Match[str], data_set: str) -> tuple[str, ...]:
    """Return the parts of a name that identify the finger, comparable as they are."""
    *person, finger = (part.lower() for part in match.groups())
    if data_set == "NIST":
        finger = PLAIN_THUMBS.get(finger, finger)
    return *person, finger
