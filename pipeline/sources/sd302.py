"""NIST Special Database 302: the Nail to Nail challenge; 302a, 302b and 302d hold its fingers.

302a  images/challengers/X/roll/png/SUBJECT_X_roll_FRGP.png, X in A-H; ppi from the PNG's pHYs
302b  images/baseline/X/RESOLUTION/CAPTURE/png/SUBJECT_X_RESOLUTION_CAPTURE_FRGP.png, X in R S U V
302d  images/auxiliary/flat/X/RESOLUTION/plain/png/SUBJECT_X_RESOLUTION_plain_FRGP.png, X as L, M

The three may lie in one root or side by side. The publisher's errata are applied, and listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.impression import Impression
from pipeline.sources import nist
from pipeline.sources.listing import (
    Answer,
    Claim,
    Corrected,
    Excluded,
    Expected,
    Folder,
    Listing,
    Unparsed,
    collect,
    walk,
)

DEVICES = {  # 302d holds further auxiliary devices beside L and M, of fingers and of palms
    "302a": tuple("ABCDEFGH"),
    "302b": tuple("RSUV"),
    "302d": tuple("IJKLMNOPQTWXYZ"),
}
EXPECTED = {f"sd302/{device}": Expected(persons=200) for device in "ABCDEFGHLMRSUV"}
FILES = {"302a": 13630, "302b": 13796, "302d": 5141}  # as counted on deliveries, devices together

# (subject, device): (labelled finger → true finger or None for unusable, the publisher's words)
ERRATA: dict[tuple[str, str], tuple[dict[int, int | None], str]] = {
    ("00002302", "L"): ({1: 6, 6: 1}, "thumbs swapped"),
    ("00002361", "V"): ({2: 4}, "right ring labelled right index"),
    ("00002420", "R"): ({1: 6, 6: 1}, "segments 1 and 6 swapped"),
    ("00002534", "S"): ({1: 6, 6: 1}, "thumbs swapped"),
    ("00002561", "S"): ({1: 6, 6: 1}, "thumbs swapped"),
    ("00002497", "C"): ({8: None}, "finger 08 unusable"),
    ("00002354", "C"): ({4: None, 5: None}, "fingers 04 and 05 doubtful"),
}


def find(root: Path) -> Listing:
    """The SD302 images below `root`; Misuse where it is no folder, Fault at two copies."""
    return collect(walk([root]), claim)


def claim(folder: Folder) -> Claim | None:
    """SD302's hold on `folder`, None where it is not one of its folders."""
    told = _told(folder.path.parts)
    if told is None:
        return None
    delivery = told.pop("delivery")
    letter = told["device"].upper()
    partition = f"sd302/{letter}"
    if letter not in DEVICES[delivery]:
        return Claim(partition, lambda _: Unparsed(f"{delivery} has no device {letter}"))
    example = "_".join(["00002303", letter, *list(told.values())[1:], "07.png"])
    return Claim(
        partition, lambda path: correct(nist.parse(path, partition, told, example), letter)
    )


def correct(answer: Answer, device: str) -> Answer:
    """The answer after the publisher's errata for the subject and the device."""
    if not isinstance(answer, Impression):
        return answer
    fingers, words = ERRATA.get((answer.person.removeprefix("nist/"), device), ({}, ""))
    if answer.frgp not in fingers:
        return answer
    true = fingers[answer.frgp]
    if true is None:
        return Corrected(Excluded(f"erratum: {words}"), words)
    finger = f"{answer.person}/{true:02d}"
    return Corrected(replace(answer, frgp=true, finger=finger), words)


def _told(parts: Sequence[str]) -> dict[str, str] | None:
    """What the tail of a path says: delivery, device, resolution, capture; None if not SD302's."""
    match [part.lower() for part in parts]:
        case [*_, "challengers", device, "roll", "png"]:
            return {"delivery": "302a", "device": device, "capture": "roll"}
        case [*_, "baseline", device, resolution, capture, "png"]:
            told = {"device": device, "resolution": resolution, "capture": capture}
            return {"delivery": "302b", **told}
        case [*_, "auxiliary", "flat" | "palm", device, resolution, capture, "png"]:
            told = {"device": device, "resolution": resolution, "capture": capture}
            return {"delivery": "302d", **told}
    return None
