"""NIST Special Database 300: fingerprint cards scanned at 500, 1000 and 2000 ppi (a, b, c).

Layout: images/RESOLUTION/png/{roll|plain}/SUBJECT_{roll|plain}_RESOLUTION_FRGP.png; one public copy
renames roll to NIST300_rolled. The three releases are one capture each: one of them is used. The
resolution is the folder's; the PNG headers of release c claim 5080 ppi and are wrong.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.sources import nist
from pipeline.sources.listing import Claim, Expected, Folder, Listing, collect, walk

EXPECTED = {"sd300/roll": Expected(8871, 8871, 888), "sd300/plain": Expected(None, 10564, 888)}
_FOLDER = re.compile(r"(500|1000|2000)/png/(roll|plain|nist300_rolled)", re.I)


def find(root: Path) -> Listing:
    """The SD300 images below `root`; Misuse where it is no folder, Fault at two copies."""
    return collect(walk([root]), claim)


def claim(folder: Folder) -> Claim | None:
    """SD300's hold on `folder`, None where it is not one of its folders."""
    match = _FOLDER.fullmatch("/".join(folder.path.parts[-3:]))
    if match is None:
        return None
    resolution, capture = match[1], "plain" if match[2].lower() == "plain" else "roll"
    partition = f"sd300/{capture}"
    told = {"resolution": resolution, "capture": capture}
    example = f"00001000_{capture}_{resolution}_07.png"
    return Claim(partition, lambda path: nist.parse(path, partition, told, example))
