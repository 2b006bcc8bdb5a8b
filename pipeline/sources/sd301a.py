"""Reader of NIST Special Database 301a: 14 devices of the dry run of the Nail to Nail challenge.

Layout: images/friction-ridge/dryrun-X/{500|1000|variable}/CAPTURE/png/
SUBJECT_ENCOUNTER_dryrun-X_RESOLUTION_CAPTURE_FRGP.png with X in A-P without I and O. The captures
roll, plain and slap-segmented are used. The folder decides about the capture, because segmented
fingers may be named "slap".
"""

from __future__ import annotations

import re

from pipeline.sources import nist
from pipeline.sources.folders import Folder
from pipeline.sources.listing import ExpectedCounts, FolderMatch, Unparsed

DEVICES = tuple("ABCDEFGHJKLMNP")
EXPECTED = {  # published by NIST
    f"sd301a/{device}": ExpectedCounts(images=240, persons=24) for device in "ABCEJKMN"
}
_FOLDER = re.compile(r"friction-ridge/([^/]+)/([^/]+)/([^/]+)/png", re.I)


def match_folder(folder: Folder) -> FolderMatch | None:
    """Recognize a folder of SD301a; None for other folders."""
    match = _FOLDER.fullmatch("/".join(folder.path.parts[-5:]))
    if match is None:
        return None
    device, resolution, capture = match[1].lower(), match[2].lower(), match[3].lower()
    letter = device.removeprefix("dryrun-").upper()
    partition = f"sd301a/{letter}"
    if letter not in DEVICES:
        return FolderMatch(partition, lambda _: Unparsed(f"SD301a has no device {device}"))
    fields = {"device": device, "resolution": resolution, "capture": capture}
    example = f"00002223_01_{device}_{resolution}_{capture}_07.png"
    return FolderMatch(partition, lambda path: nist.parse(path, partition, fields, example))
