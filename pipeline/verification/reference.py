"""What the records of a shard say of one of its images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.imaging.file import Image
from pipeline.imaging.foreground import Mask
from pipeline.imaging.warp import Array
from pipeline.verification.segmented_crop import SegmentedCrop
from shards.record import Pair


@dataclass
class CropOfImage:
    """The crop of an image, as some of its records show it as image A.

    Attributes:
        number: of the first of these records.
        image: uint8 [size, size].
        to_original: float64 [2, 3], px of the crop → px of the file.
        records: number of these records.
    """

    number: int
    image: Image
    to_original: Array
    records: int = 0

    def is_of(self, pair: Pair) -> bool:
        """Return whether a pair shows this crop as image A."""
        same = np.array_equal(self.image, pair.image_a)
        return same and np.array_equal(self.to_original, pair.to_original_a)


@dataclass
class Reference:
    """What the records of a shard say of one of its images.

    Attributes:
        crops: the crops that they show; one in a correct shard.
        known: bool [G, G], cells whose mask is known from pairs of the image with itself.
        on_finger: bool [G, G], those of them that are on the finger.
    """

    crops: list[CropOfImage]
    known: Mask
    on_finger: Mask
    segmented: SegmentedCrop | None = None  # the crop that most records show

    @property
    def crop(self) -> CropOfImage:
        """The crop that most records show."""
        return max(self.crops, key=lambda crop: crop.records)
