"""Readers of published data sets that need a name pattern each: a table of their layouts.

SOCOFing         {subject}__{M|F}_{Left|Right}_{finger}_finger.BMP: one impression of a finger; the
                 altered copies (_CR, _Obl, _Zcut) are no impressions of their own
SD4              f{number}_{FRGP}, s{number}_{FRGP}: the first and second print of one finger
SD14             F{number}, S{number}: the same; ten consecutive numbers are the fingers of a card
PolyU            contact-based_fingerprints/{first|second}_session/{finger}_{impression} of
                 "Contactless 2D to Contact-based 2D"; the contactless photographs are not used
MOLF             DB1_Lumidgm, DB2_Secugen: {subject}_{impression}_{finger};
                 DB3_A_CrossMatchCropped: {subject}_{impression}_{slap}_{finger}
Neurotechnology  CrossMatch_Sample_DB, UareU_sample_DB: {subject}_{finger}_{impression}
PrintsGAN        PrintsGAN/{finger}/{impression}

docs/DATA.md states how far each of these facts was verified. The resolution is that of the sensor,
from the table below; the files state none, or another one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipeline.impression import Impression
from pipeline.sources.folders import Folder
from pipeline.sources.listing import (
    FORMATS,
    Excluded,
    ExpectedCounts,
    FolderMatch,
    ParsedFile,
    Unparsed,
)

ALTERED = "altered copy of another image"
CONTACTLESS = "contactless photograph of unpublished resolution"
HANDS = {"right": 0, "left": 5}  # FRGP of the finger before the thumb
FINGERS = ("thumb", "index", "middle", "ring", "little")
CARD = 10  # fingers of a fingerprint card


class Identity(NamedTuple):
    """Whose finger an image shows; `person` and `finger` without the data set's name."""

    person: str
    finger: str
    frgp: int | None = None


@dataclass(frozen=True)
class Layout:
    """Where the images of a partition are, and what their names mean.

    Attributes:
        partition: name of the partition.
        folder: pattern of the end of a folder's path; None where the names alone are typical.
        stem: pattern of a file name without extension, or of its folder's name and it.
        example: a correct name.
        ppi: resolution of the sensor.
        identity: returns the identity for a match of `stem`, or why the image is not used.
        capture: kind of capture.
        initials: first letters of names, all of which must occur in a folder without `folder`.
    """

    partition: str
    folder: re.Pattern[str] | None
    stem: re.Pattern[str]
    example: str
    ppi: float
    identity: Callable[[re.Match[str]], Identity | Excluded | Unparsed]
    capture: str = "plain"
    initials: str = ""

    @property
    def depth(self) -> int:
        """Number of the last parts of a path that `stem` describes: 2 with the folder, else 1."""
        return self.stem.pattern.count("/") + 1


def _socofing(match: re.Match[str]) -> Identity | Excluded:
    if match["altered"]:
        return Excluded(ALTERED)
    frgp = HANDS[match["hand"].lower()] + FINGERS.index(match["finger"].lower()) + 1
    return Identity(match["subject"], f"{match['subject']}/{frgp:02d}", frgp)


def _sd4(match: re.Match[str]) -> Identity | Unparsed:
    frgp = int(match["frgp"])
    if not 1 <= frgp <= 10:
        return Unparsed(f"{match['frgp']} is no finger position (FRGP) from 01 to 10")
    return Identity(match["number"], match["number"], frgp)


def _sd14(match: re.Match[str]) -> Identity:
    card = (int(match["number"]) + CARD - 1) // CARD
    return Identity(f"{card:04d}", f"{card:04d}/{match['number']}")


def _finger(match: re.Match[str]) -> Identity:
    return Identity(match["finger"], match["finger"])


def _person_and_finger(match: re.Match[str]) -> Identity | Unparsed:
    if not 1 <= int(match["finger"]) <= 10:
        return Unparsed(f"{match['finger']} is no finger from 1 to 10")
    return Identity(match["subject"], f"{match['subject']}/{int(match['finger']):02d}")


def _slap_finger(match: re.Match[str]) -> Identity:
    return Identity(match["subject"], f"{match['subject']}/slap{match['slap']}-{match['finger']}")


def _contactless(match: re.Match[str]) -> Excluded:
    return Excluded(CONTACTLESS)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.I | re.ASCII)


_NUMBERS = r"(?P<subject>\d{1,4})_\d{1,2}_(?P<finger>\d{1,2})"
LAYOUTS = (
    Layout(
        "socofing/real",
        None,
        _pattern(
            r"(?P<subject>\d{1,4})__[MF]_(?P<hand>Left|Right)_"
            r"(?P<finger>thumb|index|middle|ring|little)_finger(?P<altered>_(CR|Obl|Zcut))?"
        ),
        "SOCOFing/Real/100__M_Left_index_finger.BMP",
        500.0,
        _socofing,
    ),
    Layout(
        "sd4/all",
        None,
        _pattern(r"[fs](?P<number>\d{4})_(?P<frgp>\d{2})"),
        "figs_0/f0001_01.png",
        500.0,  # 19.69 px/mm
        _sd4,
        "roll",
        "fs",
    ),
    Layout(
        "sd14/all",
        None,
        _pattern(r"[fs](?P<number>\d{7})"),
        "F0000001.wsq",
        500.0,  # 19.69 px/mm
        _sd14,
        "roll",
    ),
    *(
        Layout(
            f"polyu/contact_{session}",
            _pattern(rf"contact[-_ ]based[-_ ]fingerprints/{session}[-_ ]session"),
            _pattern(r"(?P<finger>\d{1,3})_\d{1,2}"),
            f"contact-based_fingerprints/{session}_session/24_1.jpg",
            512.0,  # U.are.U 4000
            _finger,
        )
        for session in ("first", "second")
    ),
    Layout(
        "polyu/contactless",
        _pattern(r"(processed_)?contactless_2d_fingerprint_images/[a-z]+_session/p\d+"),
        _pattern(r"p\d+"),
        "contactless_2d_fingerprint_images/first_session/p24/p1.bmp",
        0.0,
        _contactless,
    ),
    Layout(
        "molf/db1",
        _pattern(r"db1_lumidi?gm(/[a-z]+)?"),
        _pattern(_NUMBERS),
        "DB1_Lumidgm/100_1_10.wsq",
        500.0,  # Lumidigm Venus
        _person_and_finger,
    ),
    Layout(
        "molf/db2",
        _pattern(r"db2_secugen(/[a-z]+)?"),
        _pattern(_NUMBERS),
        "DB2_Secugen/100_1_10.wsq",
        500.0,  # SecuGen Hamster IV
        _person_and_finger,
    ),
    Layout(
        "molf/db3_a",
        _pattern(r"db3_a_crossmatchcropped(/[a-z]+)?"),
        _pattern(r"(?P<subject>\d{1,4})_\d{1,2}_(?P<slap>\d{1,2})_(?P<finger>\d{1,2})"),
        "DB3_A_CrossMatchCropped/100_1_2_3.wsq",
        500.0,  # CrossMatch L-Scan
        _slap_finger,
    ),
    Layout(
        "neurotechnology/crossmatch",
        _pattern(r"crossmatch_sample_db"),
        _pattern(r"(?P<subject>\d{3})_(?P<finger>\d{1,2})_\d{1,2}"),
        "CrossMatch_Sample_DB/012_3_1.tif",
        500.0,  # CrossMatch Verifier 300
        _person_and_finger,
    ),
    Layout(
        "neurotechnology/uareu",
        _pattern(r"uareu_sample_db"),
        _pattern(r"(?P<subject>\d{3})_(?P<finger>\d{1,2})_\d{1,2}"),
        "UareU_sample_DB/012_10_1.tif",
        512.0,  # U.are.U 4000; the files state 500
        _person_and_finger,
    ),
    Layout(
        "printsgan/all",
        _pattern(r"[^/]*printsgan[^/]*/\d+"),
        _pattern(r"(?P<finger>\d+)/.+"),
        "PrintsGAN/17/3.png",
        500.0,
        _finger,
    ),
)
EXPECTED = {  # counts that the publishers state
    "socofing/real": ExpectedCounts(images=6000, persons=600),
    "sd4/all": ExpectedCounts(images=4000, files=4000, persons=2000),
    "sd14/all": ExpectedCounts(images=54000, files=54000, persons=2700),
    "polyu/contact_first": ExpectedCounts(images=2016, files=2016, persons=336),
    "polyu/contact_second": ExpectedCounts(images=960, files=960, persons=160),
    "molf/db1": ExpectedCounts(images=4000, files=4000, persons=100),
    "molf/db2": ExpectedCounts(images=4000, files=4000, persons=100),
}
PARTITIONS = tuple(layout.partition for layout in LAYOUTS)
DATA_SETS = tuple(dict.fromkeys(partition.partition("/")[0] for partition in PARTITIONS))


def match_folder(folder: Folder) -> FolderMatch | None:
    """Recognize a folder by the end of its path, or by any name in it where names are typical."""
    for layout in LAYOUTS:
        if _is_of(folder, layout):
            return FolderMatch(layout.partition, partial(parse, layout=layout))
    return None


def parse(path: Path, layout: Layout) -> ParsedFile:
    """Parse the name of a file of a layout."""
    parts = [*path.parent.parts, path.stem][-layout.depth :]
    match = layout.stem.fullmatch("/".join(parts))
    if match is None:
        return Unparsed(f"expected a name such as {layout.example}")
    identity = layout.identity(match)
    if not isinstance(identity, Identity):
        return identity
    prefix = layout.partition.partition("/")[0]
    return Impression(
        path=path,
        image_id=f"{layout.partition}/{'_'.join(parts)}",
        partition=layout.partition,
        person=f"{prefix}/{identity.person}",
        finger=f"{prefix}/{identity.finger}",
        ppi=layout.ppi,
        capture=layout.capture,
        frgp=identity.frgp,
    )


def _is_of(folder: Folder, layout: Layout) -> bool:
    if layout.folder is not None:
        ends = ("/".join(folder.path.parts[-depth:]) for depth in (1, 2, 3))
        return any(layout.folder.fullmatch(end) for end in ends)
    stems = [
        stem
        for stem, extension in map(os.path.splitext, folder.files)
        if extension.lower() in FORMATS and layout.stem.fullmatch(stem)
    ]
    return bool(stems) and {stem[0].lower() for stem in stems} >= set(layout.initials)
