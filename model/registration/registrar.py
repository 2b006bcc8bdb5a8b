"""Registers one print with another: a dense map over the whole of A, a score, matches.

The network sees of either print what it saw in training, `pipeline.imaging.preprocess`'s foreground crop,
or as much more as the print needs (`model.registration.inference`). Its matches are carried to px at 500 ppi and
made into one smooth map that brings ridges onto ridges (`model.registration.hypotheses`), which is carried to the px
of the files. Of two prints the smaller is always laid onto the larger, and the map is inverted
where it is asked for the other way, so that both ways agree.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import jax
import numpy as np
from numpy.typing import NDArray

from model.network import weights
from model.registration import deformation, hypotheses, similarity
from model.registration.calibration import DEFAULT_CURVES, CalibrationCurves
from model.registration.deformation import Deformation
from model.registration.hypotheses import best_hypothesis
from model.registration.inference import Network
from model.registration.ridge_alignment import RidgeImage, ridge_image
from pipeline.imaging import polarity, preprocess, resolution
from pipeline.imaging.preprocess import Crop, Prepared
from pipeline.imaging.warp import Array, apply_affine, compose_affine, invert_affine
from shards.foundation import files
from shards.foundation.errors import Fault


@dataclass(frozen=True)
class RegistrarParameters:
    """Thresholds of `Registrar`. Lengths are px at 500 ppi."""

    # Least confidence of a match that takes part in a fit, which weights it by its confidence.
    # Chosen: low, since the fit is robust and weighted.
    least_confidence: float = 0.01
    # A match at most this far from the map is explained by it: a ridge period (about 9 px at
    # 500 ppi; Maltoni et al., Handbook of Fingerprint Recognition, section 3.1).
    explained_distance: float = 9.0
    # Least probability of one finger for which a map is returned. Chosen: below it, ridges that
    # correlate do so by chance.
    least_probability: float = 0.05
    # Least gain in ridge correlation for which another pass of the network is kept. Chosen: about
    # the correlation's own noise.
    least_gain: float = 0.01
    # Rows of a dense map computed at a time, which bounds the memory. Chosen.
    rows_per_block: int = 256


DEFAULT = RegistrarParameters()


@dataclass(frozen=True, eq=False)
class Registration:
    """What is known of a pair, in px of the files."""

    map_ab: NDArray[np.float32]  # [H_a, W_a, 2], (x, y) in B of A's pixels; NaN where none
    score: float  # probability of one finger where half of all pairs are (`model.registration.calibration`)
    matches: NDArray[np.float32]  # [K, 5], x_a, y_a, x_b, y_b, probability; those the map explains
    angle: float  # rad, from A to B, counter-clockwise as seen; NaN where nothing is claimed
    calibrated: bool = True  # else score and probabilities put in order, and no more (`model.registration.calibration`)

    @property
    def score_text(self) -> str:
        """The score as it is said to people."""
        return f"score {self.score:.3f}{'' if self.calibrated else ' (uncalibrated)'}"

    def save(self, path: Path) -> None:
        """Write map_ab, score and matches as .npz, at once or not at all; Fault where it fails."""
        with (
            files.report_write_errors(path),
            files.temporary_file(path) as temporary,
            temporary.open("wb") as file,
        ):
            np.savez(file, map_ab=self.map_ab, score=self.score, matches=self.matches)


@dataclass(frozen=True, eq=False)
class WindowFeatures:
    """What the network sees of a print in a window of one size."""

    crop: Crop
    features: jax.Array  # [1, G, G, C]
    to_working: Array  # [2, 3], px of the crop → px at 500 ppi


@dataclass(frozen=True, eq=False)
class PreparedImpression:
    """An image ready to be registered, with any other and any number of times."""

    shape: tuple[int, int]  # of the file, (height, width)
    prepared: Prepared
    looks: dict[int, WindowFeatures] = field(
        default_factory=dict
    )  # by the window's size, as they are needed

    @property
    def extent(self) -> float:
        """Side, px at 500 ppi, of the square about the foreground's centre that holds all of it."""
        ends = [np.flatnonzero(self.prepared.mask.any(axis))[[0, -1]] for axis in (0, 1)]
        away = [np.abs(end - at).max() for end, at in zip(ends, self.prepared.centre, strict=True)]
        return 2 * float(max(away)) + 1

    @functools.cached_property
    def ridge_image(self) -> RidgeImage:
        """Its ridges."""
        return ridge_image(self.prepared.image, self.prepared.mask)

    @functools.cached_property
    def rank(self) -> tuple[int, int]:
        """Of two prints the lower is registered onto the other: the smaller, and never by name."""
        return int(self.prepared.mask.sum()), zlib.crc32(self.prepared.image.tobytes())


class Registrar:
    """A trained network with what registering needs around it."""

    def __init__(self, checkpoint: Path) -> None:
        """Load the .safetensors file `checkpoint`; Fault or Misuse where it is unusable."""
        loaded = weights.load(checkpoint)
        self.network = Network(loaded)
        self.calibrated, self.curves = loaded.curves is not None, loaded.curves or DEFAULT_CURVES
        self.config, self.geometry = self.network.config, self.network.geometry
        self._cells = functools.cache(self.network.cells)

    def prepare(
        self, image: NDArray[np.uint8], ppi: float, name: str = "image"
    ) -> PreparedImpression:
        """An image uint8 [H, W] made ready; a Fault that names it where it shows no finger."""
        prepared = polarity.with_dark_ridges(preprocess.prepare(image, ppi, name))
        return PreparedImpression((image.shape[0], image.shape[1]), prepared)

    def prepare_file(self, path: Path, ppi: float | None = None) -> PreparedImpression:
        """The image file at `path` made ready; its own resolution where no `ppi` is given."""
        return self.prepare(preprocess.load(path), ppi or resolution.of_file(path), str(path))

    def register(
        self, image_a: NDArray[np.uint8], ppi_a: float, image_b: NDArray[np.uint8], ppi_b: float
    ) -> Registration:
        """Two images uint8 [H, W] of the given resolutions → their registration."""
        return self.register_impressions(
            self.prepare(image_a, ppi_a, "image A"), self.prepare(image_b, ppi_b, "image B")
        )

    def register_impressions(self, a: PreparedImpression, b: PreparedImpression) -> Registration:
        """The same for prints that are open already.

        Where the ridges bear out no map, the score is near 0 and the map NaN all over. Asked for
        B → A, it answers with the inverse of A → B: one map is found for both (`PreparedImpression.rank`).
        """
        first, second = sorted((a, b), key=lambda print_: print_.rank)
        working, found, agreed = self.find_deformation(first, second)
        score = self.curves.probability(agreed)
        if found is None or score < DEFAULT.least_probability:
            nowhere = np.full((*a.shape, 2), np.nan, np.float32)
            none = np.zeros((0, 5), np.float32)
            return Registration(nowhere, score, none, float("nan"), self.calibrated)
        off = np.hypot(*(found(working[:, :2]) - working[:, 2:4]).T)
        kept = working[off < DEFAULT.explained_distance]
        if first is not a:
            found, kept = (
                deformation.invert_deformation(found, a.ridge_image.shape),
                kept[:, [2, 3, 0, 1, 4]],
            )
        map_ab, angle = map_in_file_pixels(found, a, b), similarity.rotation_angle(found.matrix)
        matches = _in_files(kept, a, b, self.curves)
        return Registration(map_ab, score, matches, angle, self.calibrated)

    def find_deformation(
        self, a: PreparedImpression, b: PreparedImpression
    ) -> tuple[Array, Deformation | None, float]:
        """The network's matches, the map that the ridges bear out best, and how far they do.

        While that leaves doubt, the network looks again, at B as the map lays it onto A: of what
        bent and turned B before it sees only what is left, and of such pairs it is surer. It stops
        where the ridges agree no better by DEFAULT.least_gain.
        """
        matches = self.match(a, b)
        found, agreed = best_hypothesis(matches, a.ridge_image, b.ridge_image)
        while (
            found is not None
            and hypotheses.DEFAULT.hopeless_correlation
            < agreed
            < hypotheses.DEFAULT.certain_correlation
        ):
            again = self.match(a, resample_onto(b, found, a))
            again[:, 2:4] = found(again[:, 2:4])
            refound, reagreed = best_hypothesis(again, a.ridge_image, b.ridge_image)
            if reagreed < agreed + DEFAULT.least_gain:
                break
            matches, found, agreed = again, refound, reagreed
        return matches, found, agreed

    def match(self, a: PreparedImpression, b: PreparedImpression) -> Array:
        """The network's mutual matches [K, 5] between the fingers, px at 500 ppi."""
        size = self.network.window(max(a.extent, b.extent))
        on_a, on_b = self.window_features(a, size), self.window_features(b, size)
        found = self.network.match(on_a.features, on_b.features)
        cells = self._cells(size)
        points = np.asarray(found.points[0], np.float64)
        confidence = np.asarray(found.confidence[0], np.float64)
        keep = np.asarray(found.mutual[0]) & (confidence > DEFAULT.least_confidence)
        keep &= _on(on_a.crop.mask, cells) & _on(on_b.crop.mask, points)
        at_a, at_b = apply_affine(on_a.to_working, cells), apply_affine(on_b.to_working, points)
        return np.c_[at_a, at_b, confidence][keep]

    def window_features(self, print_: PreparedImpression, size: int) -> WindowFeatures:
        """The print in a window of `size` px of the network, which is looked at once."""
        if size not in print_.looks:
            prepared = print_.prepared
            crop = preprocess.crop(prepared, round(size * self.network.scale), size)
            to_working = compose_affine(invert_affine(prepared.to_original), crop.to_original)
            features = self.network.features(crop.image)
            print_.looks[size] = WindowFeatures(crop, features, to_working)
        return print_.looks[size]


def require_two_files(a: Path, b: Path) -> None:
    """Fault where A and B are one file, which is a slip: registered with itself it says nothing."""
    try:
        same = a.samefile(b)
    except OSError:  # one that is not there is named when it is opened
        return
    except ValueError as error:
        raise Fault(f"{str(a)!r} or {str(b)!r} can be no file's name: {error}") from error
    if same:
        raise Fault(f"{a}: is both A and B; expected two impressions, in two files")


def resample_onto(
    b: PreparedImpression, found: Deformation, a: PreparedImpression
) -> PreparedImpression:
    """B as the map lays it onto A, in A's frame; light beyond its own."""
    height, width = a.prepared.mask.shape
    place = found.on_grid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    mask = preprocess.on_finger(b.prepared, place)
    x, y = np.moveaxis(place.astype(np.float32), -1, 0)
    light = float(np.percentile(b.prepared.image, preprocess.LIGHT_PERCENTILE))
    image = cv2.remap(b.prepared.image, x, y, cv2.INTER_LINEAR, borderValue=light)
    return PreparedImpression(
        a.shape, replace(a.prepared, image=np.asarray(image, np.uint8), mask=mask)
    )


def map_in_file_pixels(
    found: Deformation, a: PreparedImpression, b: PreparedImpression
) -> NDArray[np.float32]:
    """The map float32 [H_a, W_a, 2] in px of the files; NaN off either finger."""
    (scale_x, _, left), (_, scale_y, top) = invert_affine(a.prepared.to_original)
    height, width = a.shape
    x, y = scale_x * np.arange(width) + left, scale_y * np.arange(height) + top
    out = np.full((height, width, 2), np.nan, np.float32)
    for start in range(0, height, DEFAULT.rows_per_block):
        some = np.s_[start : start + DEFAULT.rows_per_block]
        place = found.on_grid(x, y[some])
        seen = preprocess.on_finger(a.prepared, np.stack(np.meshgrid(x, y[some]), -1))
        seen &= preprocess.on_finger(b.prepared, place)
        out[some][seen] = apply_affine(b.prepared.to_original, place[seen])
    return out


def _in_files(
    matches: Array, a: PreparedImpression, b: PreparedImpression, curves: CalibrationCurves
) -> NDArray[np.float32]:
    """Matches [K, 5] in px at 500 ppi → in px of the files, with the probability to be right."""
    return np.c_[
        apply_affine(a.prepared.to_original, matches[:, :2]),
        apply_affine(b.prepared.to_original, matches[:, 2:4]),
        curves.match_probability(matches[:, 4]),
    ].astype(np.float32)


def _on(mask: NDArray[np.bool_], points: Array) -> NDArray[np.bool_]:
    """Whether points (x, y) [K, 2] lie where `mask` [H, W] is true; not outside of it."""
    x, y = np.floor(points + 0.5).astype(np.int64).T
    height, width = mask.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.asarray(inside & mask[y.clip(0, height - 1), x.clip(0, width - 1)])
