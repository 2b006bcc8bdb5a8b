"""What a source knows of one fingerprint image before it is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Impression:
    """One recorded impression of one finger, as a file on disk, or one that is yet to be drawn.

    `finger` is the identity: two impressions are genuine exactly when it is equal. `person` is
    what splits go by; in FVC2002, where persons are not known, it equals `finger`.
    """

    path: Path  # the file; of one that is drawn, its image_id
    image_id: str  # partition + "/" + stem, the same wherever the root lies
    partition: str  # "fvc2002/db1_a", "sd302/U", "synthetic/demo"
    person: str  # "fvc2002/db1/101", "nist/00002303"
    finger: str  # "fvc2002/db1/101", "nist/00002303/07"
    ppi: float  # true resolution of the file, pixels an inch
    capture: str = "plain"  # "plain", "roll", "slap-segmented"
    frgp: int | None = None  # ANSI/NIST-ITL finger position 1..10; None where unknown (FVC)
    truth: Path | None = None  # the warp to the finger's master (synthetic impressions only)
    generator_address: tuple[int, int, int] | None = (
        None  # (seed, finger, impression) where generated
    )

    @property
    def mapped(self) -> bool:
        """Whether the exact map to others of its finger is known."""
        return self.truth is not None or self.generator_address is not None
