"""File names and finger positions of NIST Special Databases 300, 301 and 302.

A file name consists of fields joined by "_". Each field is recognized by its pattern; the last one
is the finger position (FRGP). A finger is (subject, FRGP 1-10), whatever device, release or
resolution recorded it; the three data sets share the subject numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.imaging.resolution import UnknownResolution, stated_ppi
from pipeline.impression import Impression
from pipeline.sources.listing import PALM, SLAP, Excluded, ParsedFile, Unparsed

FIELDS = {
    "subject": re.compile(r"[0-9]{8}"),
    "encounter": re.compile(r"[0-9]{2}"),
    "device": re.compile(r"[a-z]|dryrun-[a-z]", re.I),
    "resolution": re.compile(r"500|1000|2000|variable", re.I),
    "capture": re.compile(r"roll|plain|slap|slap-segmented|palm|palm-segmented", re.I),
}
SLAP_CODES = (13, 14, 15)  # FRGP of four fingers of a hand, and of two thumbs
PLAIN_THUMBS = {11: 1, 12: 6}  # FRGP of a plain thumb → finger
FIRST_PALM_CODE = 20


def parse_fields(stem: str) -> dict[str, str] | None:
    """Split a file name without extension into its fields.

    Returns:
        Field → value in lower case, with "frgp"; None where a field is unknown or occurs twice.
    """
    *tokens, last = stem.split("_")
    fields = {"frgp": last}
    for token in tokens:
        kinds = [kind for kind, pattern in FIELDS.items() if pattern.fullmatch(token)]
        if len(kinds) != 1 or kinds[0] in fields:
            return None
        fields[kinds[0]] = token.lower()
    return fields if re.fullmatch(r"[0-9]{2}", last) else None


def find_mismatch(name: Mapping[str, str] | None, folder: Mapping[str, str]) -> str | None:
    """Compare the fields of a file name with those of its folder.

    A name must have the folder's fields and the subject, and may have an encounter. A segmented
    finger may have the name of the slap that it was cut from; its folder decides then.

    Args:
        name: fields of the name, a result of `parse_fields`.
        folder: fields of the folder's path.

    Returns:
        The difference; None where they agree.
    """
    expected = {"subject", "frgp", *folder}
    if name is None or set(name) - {"encounter"} != expected:
        return f"expected the fields {', '.join(sorted(expected))} joined by _"
    for kind, value in folder.items():
        if name[kind] not in (value, value.removesuffix("-segmented")):
            return f"the name has {kind} {name[kind]}, its folder {value}"
    return None


def finger_position(code: int, capture: str) -> int | Excluded | Unparsed:
    """Return the finger 1-10 of an FRGP code (ANSI/NIST-ITL 1, table of friction ridge positions).

    Codes 11 and 12 are the plain thumbs, fingers 1 and 6. Slaps (codes 13-15, and folders of uncut
    slaps) and palms (codes from 20) are excluded.
    """
    if capture.startswith("palm") or code >= FIRST_PALM_CODE:
        return Excluded(PALM)
    if capture == "slap" or code in SLAP_CODES:
        return Excluded(SLAP)
    if not 1 <= code <= 12:
        return Unparsed(f"{code:02d} is no finger position (FRGP)")
    return PLAIN_THUMBS.get(code, code)


def parse(path: Path, partition: str, folder: Mapping[str, str], example: str) -> ParsedFile:
    """Parse the name of a file.

    Args:
        path: the file; it is read where its PNG header has the resolution.
        partition: partition of the folder.
        folder: fields of the folder's path, some of FIELDS, in lower case. The resolution is read
            from the PNG header where it is missing or "variable".
        example: a correct name, for messages.
    """
    for kind, value in folder.items():
        if not FIELDS[kind].fullmatch(value):
            return Unparsed(f"its folder's path names an unknown {kind}, {value}")
    fields = parse_fields(path.stem)
    mismatch = find_mismatch(fields, folder)
    if fields is None or mismatch:
        return Unparsed(f"{mismatch}, such as {example}")
    finger = finger_position(int(fields["frgp"]), folder["capture"])
    if not isinstance(finger, int):
        return finger
    resolution = folder.get("resolution", "variable")
    try:
        ppi = stated_ppi(path) if resolution == "variable" else float(resolution)
    except UnknownResolution as error:
        return Unparsed(str(error))
    person = f"nist/{fields['subject']}"
    return Impression(
        path=path,
        image_id=f"{partition}/{path.stem}",
        partition=partition,
        person=person,
        finger=f"{person}/{finger:02d}",
        ppi=ppi,
        capture=folder["capture"],
        frgp=finger,
    )
