"""One record: a pair of images with the true correspondence between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KINDS = ("genuine", "genuine-impressions", "impostor")
NOISES = ("none", "sensor", "dryness", "pressure")


@dataclass(frozen=True, eq=False)
class Pair:
    """Two crops of one finger with ground truth, or of two fingers without.

    G cells a side, of stride S = H // G px; the centre of cell (row i, column j) of image A lies at
    (x, y) = (S·j + (S - 1) / 2, S·i + (S - 1) / 2).
    """

    image_a: NDArray[np.uint8]  # [H, W], dark ridges on a light ground
    image_b: NDArray[np.uint8]  # [H, W], the corrupted one
    map_ab: NDArray[
        np.float32
    ]  # [G, G, 2], (x, y) px in B of A's cell centres; NaN where not visible
    visible: NDArray[np.bool_]  # [G, G], both ends in view and on the finger
    kind: str  # of KINDS
    noise: str  # of NOISES: what corrupted B
    finger_a: str  # identities: equal exactly when the pair is genuine
    finger_b: str
    image_id_a: str
    image_id_b: str
    to_original_a: NDArray[np.float64]  # [2, 3], px of image A → px of its original file
    to_original_b: NDArray[
        np.float64
    ]  # [2, 3], the same for the crop of B before rotation and warp
    seed: int  # the spec's seed and the pair's number in its partition are the address
    index: int  # from which the pair can be made again

    @property
    def genuine(self) -> bool:
        """True where both images show the same finger."""
        return self.kind != "impostor"
