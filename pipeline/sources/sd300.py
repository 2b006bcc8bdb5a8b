"""Reader of NIST Special Database 300: fingerprint cards scanned at 500, 1000, 2000 ppi (a, b, c).

Layout: images/RESOLUTION/png/{roll|plain}/SUBJECT_{roll|plain}_RESOLUTION_FRGP.png; one public copy
renames roll to NIST300_rolled. The three releases show the same captures; one of them is used. The
resolution is that of the folder: the PNG headers of release c contain 5080 ppi, which is wrong.
"""

from __future__ import annotations

import re

from pipeline.sources import nist
from pipeline.sources.folders import Folder
from pipeline.sources.listing import ExpectedCounts, FolderMatch

EXPECTED = {  # published by NIST
    "sd300/roll": ExpectedCounts(images=8871, files=8871, persons=888),
    "sd300/plain": ExpectedCounts(files=10564, persons=888),
}
_FOLDER = re.compile(r"(500|1000|2000)/png/(roll|plain|nist300_rolled)", re.I)


def match_folder(folder: Folder) -> FolderMatch | None:
    """Recognize a folder of SD300; None for other folders."""
    match = _FOLDER.fullmatch("/".join(folder.path.parts[-3:]))
    if match is None:
        return None
    resolution, capture = match[1], "plain" if match[2].lower() == "plain" else "roll"
    partition = f"sd300/{capture}"
    fields = {"resolution": resolution, "capture": capture}
    example = f"00001000_{capture}_{resolution}_07.png"
    return FolderMatch(partition, lambda path: nist.parse(path, partition, fields, example))
