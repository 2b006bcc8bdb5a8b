"""The description of one fingerprint impression: identity, resolution and location."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Impression:
    """One impression of one finger: an image file, or an image that the generator synthesizes.

    Two impressions are a genuine pair exactly when their `finger` is equal. Splits go by `person`;
    where persons are not published, as for FVC, `person` equals `finger`.

    Attributes:
        path: the image file; the image_id where the image is synthesized.
        image_id: partition + "/" + a name, which does not depend on the data root: the stem of the
            file; of anyone's own images the path below the data root or the list, without its
            extension and with %XX for most characters; of a published data set whose stems repeat
            the parts of the path that identify the image.
        partition: such as "fvc2002/db1_a", "sd302/U", "synthetic/demo", "folder/lab".
        person: such as "fvc2002/db1/101", "nist/00002303".
        finger: such as "fvc2002/db1/101", "nist/00002303/07".
        ppi: true resolution of the image, pixels per inch.
        capture: "plain", "roll" or "slap-segmented".
        frgp: finger position code 1 to 10 (ANSI/NIST-ITL 1); None where unknown (FVC).
        truth: file of the warp to the finger's master fingerprint (synthetic impressions only).
        generator_address: (seed, finger, impression) of a synthesized image.
        split: "train", "val" or "test" where the user states it; None where the person's name
            decides (`pipeline.split`).
        raw_size: (width, height) in px of a file without header; None for other files.
    """

    path: Path
    image_id: str
    partition: str
    person: str
    finger: str
    ppi: float
    capture: str = "plain"
    frgp: int | None = None
    truth: Path | None = None
    generator_address: tuple[int, int, int] | None = None
    split: str | None = None
    raw_size: tuple[int, int] | None = None

    @property
    def has_truth(self) -> bool:
        """True where the exact map to other impressions of the finger can be computed."""
        return self.truth is not None or self.generator_address is not None
