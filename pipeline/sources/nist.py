"""What NIST's Special Databases 300, 301 and 302 share: file names and finger positions.

A file name is fields joined by "_", each recognised by its pattern; the last is the finger
position (FRGP). A finger is (person, FRGP 1-10), whatever device, release or resolution recorded
it; subject numbers are one namespace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.imaging.resolution import UnknownResolution, stated_ppi
from pipeline.impression import Impression
from pipeline.sources.listing import PALM, SLAP, Answer, Excluded, Unparsed

FIELDS = {
    "subject": re.compile(r"[0-9]{8}"),
    "encounter": re.compile(r"[0-9]{2}"),
    "device": re.compile(r"[a-z]|dryrun-[a-z]", re.I),
    "resolution": re.compile(r"500|1000|2000|variable", re.I),
    "capture": re.compile(r"roll|plain|slap|slap-segmented|palm|palm-segmented", re.I),
}


def fields(stem: str) -> dict[str, str] | None:
    """The fields of a file name without extension, lower case, "frgp" among them; None if not one.

    Each field is recognised by its pattern and occurs once at most.
    """
    *tokens, last = stem.split("_")
    found = {"frgp": last}
    for token in tokens:
        kinds = [kind for kind, pattern in FIELDS.items() if pattern.fullmatch(token)]
        if len(kinds) != 1 or kinds[0] in found:
            return None
        found[kinds[0]] = token.lower()
    return found if re.fullmatch(r"[0-9]{2}", last) else None


def disagreement(found: Mapping[str, str] | None, folder: Mapping[str, str]) -> str | None:
    """Why a name's fields do not fit the folder's, None where they do.

    A name must have the folder's fields and the subject, and may have an encounter. A segmented
    finger may carry the name of the slap that it was cut from: there the folder decides.
    """
    wanted = {"subject", "frgp", *folder}
    if found is None or set(found) - {"encounter"} != wanted:
        return f"expected the fields {', '.join(sorted(wanted))} joined by _"
    for kind, value in folder.items():
        if found[kind] not in (value, value.removesuffix("-segmented")):
            return f"the name says {kind} {found[kind]}, its folder {value}"
    return None


def finger_position(code: int, capture: str) -> int | Excluded | Unparsed:
    """The finger 1-10 of an FRGP code (ANSI/NIST-ITL): 11 and 12 are the plain thumbs 1 and 6.

    Slaps (13-15, and the folders of uncut slaps) and palms (20 and above) are no fingers.
    """
    if capture.startswith("palm") or code >= 20:
        return Excluded(PALM)
    if capture == "slap" or code in (13, 14, 15):
        return Excluded(SLAP)
    if not 1 <= code <= 12:
        return Unparsed(f"{code:02d} is no finger position (FRGP)")
    return {11: 1, 12: 6}.get(code, code)


def parse(path: Path, partition: str, folder: Mapping[str, str], example: str) -> Answer:
    """What a file is, by its name and by what its folder's path says (some of FIELDS, lower case).

    The resolution is the folder's, and the PNG's own where the folder says none or "variable".
    """
    for kind, value in folder.items():
        if not FIELDS[kind].fullmatch(value):
            return Unparsed(f"its folder's path names an unknown {kind}, {value}")
    found = fields(path.stem)
    wrong = disagreement(found, folder)
    if found is None or wrong:
        return Unparsed(f"{wrong}, such as {example}")
    finger = finger_position(int(found["frgp"]), folder["capture"])
    if not isinstance(finger, int):
        return finger
    resolution = folder.get("resolution", "variable")
    try:
        ppi = stated_ppi(path) if resolution == "variable" else float(resolution)
    except UnknownResolution as error:
        return Unparsed(str(error))
    person, image_id = f"nist/{found['subject']}", f"{partition}/{path.stem}"
    identity = (partition, person, f"{person}/{finger:02d}")
    return Impression(path, image_id, *identity, ppi, folder["capture"], finger)
