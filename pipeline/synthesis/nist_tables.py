"""Tables of NIST's Special Databases 300, 301a and 302 for synthetic fingers.

Persons, devices, captures, finger position codes (FRGP of ANSI/NIST-ITL) and known wrong labels,
from the publisher's documentation (Fiumara et al., NIST TN 1993, 2002 and 2007) and errata. Points
that it leaves open are chosen here, as noted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.synthesis.manner import Placement
from pipeline.synthesis.sensor import OPTICAL

ROLL = replace(  # a finger rolled from nail to nail; placement chosen
    OPTICAL, name="roll", placement=Placement((500, 460), (172, 225), 5, contact=10, pressure=0.05)
)
SLAP_FINGER = replace(  # one finger of a slap; placement chosen
    OPTICAL, name="slap", placement=Placement((420, 300), (112, 165), 5, contact=20, pressure=-0.1)
)

FINGERS = tuple(range(1, 11))
PLAIN_BOXES = (2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14)  # codes of the plain boxes of SD300's cards
SLAPS = (13, 14, 15)
SHOWN: dict[int, tuple[int, ...]] = {f: (f,) for f in FINGERS} | {
    # code → its fingers from left to right; palms are represented by fingers
    11: (1,),
    12: (6,),
    13: (2, 3, 4, 5),
    14: (10, 9, 8, 7),
    15: (6, 1),
    21: (2, 3, 4, 5),
    23: (10, 9, 8, 7),
    25: (4, 5),
    26: (2, 3),
    27: (10, 9),
    28: (8, 7),
}
OFFSETS = {2: 40, 4: 15, 5: 90, 7: 40, 9: 15, 10: 90}  # px by which a finger is shorter (chosen)

# SD301a. The documentation does not say which device has which resolutions: chosen.
CAPTURES = {
    "roll": FINGERS,
    "plain": FINGERS,
    "slap": SLAPS,
    "slap-segmented": FINGERS,
    "palm": (21, 23),
    "palm-segmented": (25, 26, 27, 28),
}
SD301A_DEVICES = {
    **dict.fromkeys("AB", ("roll",)),
    **dict.fromkeys("CFGKP", ("slap", "slap-segmented")),
    **dict.fromkeys("DEJLMN", ("plain",)),
    "H": ("palm", "palm-segmented", "slap"),
}
SD301A_RESOLUTIONS = {"A": ("500", "1000"), "B": ("1000",), "E": ("variable",), "N": ("variable",)}
ENCOUNTERS_MAX = 99  # two digits in the file names

# SD302a: resolution, ppi, of each challenger (chosen).
CHALLENGERS = {"A": 500, "B": 500, "C": 1000, "D": 500, "E": 508, "F": 600, "G": 500, "H": 1000}

# Wrong labels of the deliveries, from the publisher's errata:
# (partition, person) → label → finger that is shown; None where no finger is shown.
MISLABELLED: dict[tuple[str, int], dict[int, int | None]] = {
    ("sd302/L", 2302): {1: 6, 6: 1},
    ("sd302/V", 2361): {2: 4},
    ("sd302/R", 2420): {1: 6, 6: 1},
    ("sd302/S", 2534): {1: 6, 6: 1},
    ("sd302/S", 2561): {1: 6, 6: 1},
    ("sd302/C", 2497): {8: None},
    ("sd302/C", 2354): {4: 5, 5: 4},
}
_SHARED = (2239, 2302)  # persons of both SD301a and SD302
_WITH_ERRATA = (2354, 2361, 2420, 2497, 2534, 2561)
PERSONS = {  # in the order in which a set takes them
    "sd300": tuple(range(1000, 1888)),
    "sd301a": (*_SHARED, *(p for p in range(2223, 2246) if p not in _SHARED)),
    "sd302": tuple(  # 200 numbers, scattered over 2302 … 2645
        dict.fromkeys((*_SHARED, *_WITH_ERRATA, *(2302 + 125 * k % 344 for k in range(344))))
    )[:200],
}


@dataclass(frozen=True)
class NistParameters:
    """Shares of missing captures and of wrong headers."""

    variable_ppi: int = 508  # resolution of SD301a's "variable" files (chosen)
    # SD302a lacks 15 % of its captures, and 1,789 of 2,000 fingers have all six that the IFViT
    # paper uses (arXiv 2404.08237). So one finger in ten is incomplete: it lacks most of those six;
    # devices G and H lack the rest.
    incomplete_share: float = 0.105  # of the fingers
    missing_of_incomplete: float = 2 / 3  # of their captures by devices A to F
    missing_of_others: float = 0.39  # of the captures by devices G and H
    # Wrong resolution in headers of SD300c: counted in the delivery.
    wrong_header_ppi: int = 5080
    wrong_header_share: float = 10_115 / 19_435  # of the files at 2000 ppi


DEFAULT = NistParameters()
