"""NIST Special Database 301a: 14 devices of the dry run of the Nail to Nail challenge.

Layout: images/friction-ridge/dryrun-X/{500|1000|variable}/CAPTURE/png/
SUBJECT_ENCOUNTER_dryrun-X_RESOLUTION_CAPTURE_FRGP.png with X in A-P without I and O. Used are the
captures roll, plain and slap-segmented; the folder tells which, as segments may be named "slap".
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.sources import nist
from pipeline.sources.listing import Claim, Expected, Folder, Listing, Unparsed, collect, walk

DEVICES = tuple("ABCDEFGHJKLMNP")
EXPECTED = {f"sd301a/{device}": Expected(images=240, persons=24) for device in "ABCEJKMN"}
_FOLDER = re.compile(r"friction-ridge/([^/]+)/([^/]+)/([^/]+)/png", re.I)


def find(root: Path) -> Listing:
    """The SD301a images below `root`; Misuse where it is no folder, Fault at two copies."""
    return collect(walk([root]), claim)


def claim(folder: Folder) -> Claim | None:
    """SD301a's hold on `folder`, None where it is not one of its folders."""
    match = _FOLDER.fullmatch("/".join(folder.path.parts[-5:]))
    if match is None:
        return None
    device, resolution, capture = (match[k].lower() for k in (1, 2, 3))
    letter = device.removeprefix("dryrun-").upper()
    partition = f"sd301a/{letter}"
    if letter not in DEVICES:
        return Claim(partition, lambda _: Unparsed(f"SD301a has no device {device}"))
    told = {"device": device, "resolution": resolution, "capture": capture}
    example = f"00002223_01_{device}_{resolution}_{capture}_07.png"
    return Claim(partition, lambda path: nist.parse(path, partition, told, example))
