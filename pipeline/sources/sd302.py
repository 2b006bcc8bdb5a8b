"""Reader of NIST Special Database 302: the Nail to Nail challenge, deliveries 302a, 302b and 302d.

302a  images/challengers/X/roll/png/SUBJECT_X_roll_FRGP.png, X in A-H; ppi in the PNG header (pHYs)
302b  images/baseline/X/RESOLUTION/CAPTURE/png/SUBJECT_X_RESOLUTION_CAPTURE_FRGP.png, X in R S U V
302d  images/auxiliary/flat/X/RESOLUTION/plain/png/SUBJECT_X_RESOLUTION_plain_FRGP.png, X as L, M

The three deliveries may lie in one root or side by side. The publisher's errata are applied and
listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.impression import Impression
from pipeline.sources import nist
from pipeline.sources.folders import Folder
from pipeline.sources.listing import (
    Corrected,
    Excluded,
    ExpectedCounts,
    FolderMatch,
    ParsedFile,
    Unparsed,
)

DEVICES = {  # 302d has auxiliary devices besides L and M, of fingers and of palms
    "302a": tuple("ABCDEFGH"),
    "302b": tuple("RSUV"),
    "302d": tuple("IJKLMNOPQTWXYZ"),
}
EXPECTED = {  # published by NIST
    f"sd302/{device}": ExpectedCounts(persons=200) for device in "ABCDEFGHLMRSUV"
}
DELIVERY_FILES = {"302a": 13630, "302b": 13796, "302d": 5141}  # counted on deliveries, all devices


@dataclass(frozen=True)
class Erratum:
    """A correction by the publisher for one subject and one device.

    Attributes:
        fingers: labelled finger → true finger, or None where the image is not usable.
        reason: the publisher's reason.
    """

    fingers: dict[int, int | None]
    reason: str


ERRATA = {  # (subject, device) → erratum; published by NIST with SD302
    ("00002302", "L"): Erratum({1: 6, 6: 1}, "thumbs swapped"),
    ("00002361", "V"): Erratum({2: 4}, "right ring labelled right index"),
    ("00002420", "R"): Erratum({1: 6, 6: 1}, "segments 1 and 6 swapped"),
    ("00002534", "S"): Erratum({1: 6, 6: 1}, "thumbs swapped"),
    ("00002561", "S"): Erratum({1: 6, 6: 1}, "thumbs swapped"),
    ("00002497", "C"): Erratum({8: None}, "finger 08 unusable"),
    ("00002354", "C"): Erratum({4: None, 5: None}, "fingers 04 and 05 doubtful"),
}


def match_folder(folder: Folder) -> FolderMatch | None:
    """Recognize a folder of SD302; None for other folders."""
    match = _parse_path(folder.path.parts)
    if match is None:
        return None
    delivery, fields = match
    letter = fields["device"].upper()
    partition = f"sd302/{letter}"
    if letter not in DEVICES[delivery]:
        return FolderMatch(partition, lambda _: Unparsed(f"{delivery} has no device {letter}"))
    example = "_".join(["00002303", letter, *list(fields.values())[1:], "07.png"])
    return FolderMatch(
        partition, lambda path: correct(nist.parse(path, partition, fields, example), letter)
    )


def correct(result: ParsedFile, device: str) -> ParsedFile:
    """Apply the publisher's erratum for the subject and the device, if there is one."""
    if not isinstance(result, Impression):
        return result
    erratum = ERRATA.get((result.person.removeprefix("nist/"), device))
    if erratum is None or result.frgp not in erratum.fingers:
        return result
    true_finger = erratum.fingers[result.frgp]
    if true_finger is None:
        return Corrected(Excluded(f"erratum: {erratum.reason}"), erratum.reason)
    finger = f"{result.person}/{true_finger:02d}"
    return Corrected(replace(result, frgp=true_finger, finger=finger), erratum.reason)


def _parse_path(parts: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    """Parse the end of a folder's path.

    Returns:
        The delivery and the fields device, resolution (except 302a), capture; None where the path
        is not one of SD302.
    """
    match [part.lower() for part in parts]:
        case [*_, "challengers", device, "roll", "png"]:
            return "302a", {"device": device, "capture": "roll"}
        case [*_, "baseline", device, resolution, capture, "png"]:
            return "302b", {"device": device, "resolution": resolution, "capture": capture}
        case [*_, "auxiliary", "flat" | "palm", device, resolution, capture, "png"]:
            return "302d", {"device": device, "resolution": resolution, "capture": capture}
    return None
