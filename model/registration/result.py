"""Result of the registration of two impressions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.resolution import ImageResolution
from shards.foundation import files


@dataclass(frozen=True, eq=False)
class Registration:
    """Result of the registration of A with B, in px of the image files.

    Attributes:
        map_ab: float32 [H_a, W_a, 2], position (x, y) in B of each pixel of A; NaN where nothing
            corresponds.
        score: probability that both show one finger, where half of all pairs are genuine.
        matches: float32 [K, 5], x_a, y_a, x_b, y_b and the probability that the match is right; the
            network's matches that lie near the map.
        angle: rotation from A to B in rad, counter-clockwise as seen, both images upright as their
            orientation tags say; NaN without a map.
        resolutions: of A and of B.
        shape_b: (height, width) of the file of B.
        opposite_polarity: whether the ridges of one are dark in its file and those of the other
            light.
        calibrated: whether the checkpoint has calibration curves; without them the score and the
            probabilities order pairs and matches, but are not probabilities.
        refusal: why there is no map; empty where there is one.
        sigma: float32 [H_a, W_a], standard deviation of the map along each axis, px of B, where
            both show one finger; NaN where the map is. None without a map, and for a network that
            states none.
    """

    map_ab: NDArray[np.float32]
    score: float
    matches: NDArray[np.float32]
    angle: float
    resolutions: tuple[ImageResolution, ImageResolution]
    shape_b: tuple[int, int]
    opposite_polarity: bool = False
    calibrated: bool = True
    refusal: str = ""
    sigma: NDArray[np.float32] | None = None

    @property
    def score_text(self) -> str:
        """The score as text for the user."""
        return f"score {self.score:.3f}{'' if self.calibrated else ' (uncalibrated)'}"

    @property
    def median_sigma(self) -> float | None:
        """Median of `sigma`, px of B; None where none is stated."""
        if self.sigma is None:
            return None
        return float(np.median(self.sigma[np.isfinite(self.sigma)]))

    @property
    def mapped_share(self) -> float:
        """Share of the pixels of A that the map covers."""
        return float(np.isfinite(self.map_ab[..., 0]).mean())

    def save(self, path: Path) -> None:
        """Write an .npz file atomically; Fault where it cannot be written.

        Its arrays are map_ab, sigma, score, matches, angle_degrees, opposite_polarity, calibrated,
        ppi_a, ppi_b, ppi_a_source, ppi_b_source, and shape_b, the height and the width of B;
        `model.registration.registration_file` reads them.
        """
        with (
            files.report_write_errors(path),
            files.temporary_file(path, follow_links=True) as temporary,
            temporary.open("wb") as file,
        ):
            np.savez(file, **self._arrays())

    def _stated_sigma(self) -> NDArray[np.float32]:
        """Return `sigma`, NaN everywhere in place of None."""
        if self.sigma is None:
            return np.full(self.map_ab.shape[:2], np.nan, np.float32)
        return self.sigma

    def _arrays(self) -> dict[str, Any]:
        a, b = self.resolutions
        return {
            "map_ab": self.map_ab,
            "sigma": self._stated_sigma(),
            "score": self.score,
            "matches": self.matches,
            "angle_degrees": np.degrees(self.angle),
            "opposite_polarity": self.opposite_polarity,
            "calibrated": self.calibrated,
            "shape_b": np.array(self.shape_b),
            "ppi_a": a.ppi,
            "ppi_b": b.ppi,
            "ppi_a_source": a.source,
            "ppi_b_source": b.source,
        }


def empty_registration(
    shape: tuple[int, int],
    score: float,
    resolutions: tuple[ImageResolution, ImageResolution],
    shape_b: tuple[int, int],
    calibrated: bool,
    refusal: str,
) -> Registration:
    """Return a registration without a map of an image A of `shape` (height, width) and B."""
    nowhere = np.full((*shape, 2), np.nan, np.float32)
    matches, angle = np.zeros((0, 5), np.float32), float("nan")
    return Registration(
        nowhere,
        score,
        matches,
        angle,
        resolutions,
        shape_b,
        calibrated=calibrated,
        refusal=refusal,
    )
