"""Separate two sets of 128-px crops by their texture, and measure how well that succeeds.

Logistic regression on the power spectrum, the histogram of greys, and local binary patterns
(Ojala, Pietikäinen and Mäenpää, IEEE PAMI 24(7), 2002) at three radii. The cross-validation is by
finger: no finger is in both the training and the test part of a fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.imaging.file import Image
from pipeline.imaging.warp import Array
from pipeline.realism import spectra
from pipeline.realism.spectra import radial_spectrum

NEIGHBOURS = 8  # of a binary pattern
PATTERNS = NEIGHBOURS + 2  # uniform patterns under rotation, and one class for all others


@dataclass(frozen=True)
class ClassifierParameters:
    """Settings of the features and of the cross-validation; all are chosen."""

    folds: int = 5
    penalty: float = 10.0  # half of it times the squared weights of standardised features is added
    grey_bins: int = 16
    radii: tuple[int, ...] = (1, 2, 4)  # px, of the binary patterns


DEFAULT = ClassifierParameters()


def feature_groups(parameters: ClassifierParameters = DEFAULT) -> dict[str, int]:
    """Return the number of features of each group, in the order of `texture_features`."""
    patterns = {f"binary patterns at {radius} px": PATTERNS for radius in parameters.radii}
    spectrum = {"power spectrum": spectra.DEFAULT.bins}
    return {**spectrum, "grey histogram": parameters.grey_bins, **patterns}


def texture_features(crop: Image, parameters: ClassifierParameters = DEFAULT) -> Array:
    """Return the features float64 [F] of a crop uint8 [128, 128]; F is that of feature_groups."""
    bins = parameters.grey_bins
    greys = np.bincount(crop.ravel() // (256 // bins), minlength=bins) / crop.size
    patterns = [binary_patterns(crop, radius) for radius in parameters.radii]
    return np.concatenate([radial_spectrum(crop), np.sqrt(greys), *patterns])


def binary_patterns(crop: Image, radius: int) -> Array:
    """Return the square roots of the shares of ten local binary patterns, float64 [PATTERNS].

    Uniform patterns are numbered by how many of the eight neighbours are lighter than the px; all
    other patterns are the last one.

    Args:
        crop: uint8 [H, W].
        radius: px from a px to its neighbours.
    """
    grey = crop.astype(np.float32)
    angles = np.arange(NEIGHBOURS) * np.pi / 4
    shifts = np.stack([radius * np.cos(angles), radius * np.sin(angles)], -1)
    lighter = np.array([_shift(grey, x, y) >= grey for x, y in shifts])
    inner = lighter[:, radius:-radius, radius:-radius]
    changes = (inner != np.roll(inner, 1, axis=0)).sum(0)
    pattern = np.where(changes <= 2, inner.sum(0), PATTERNS - 1)
    return np.asarray(np.sqrt(np.bincount(pattern.ravel(), minlength=PATTERNS) / pattern.size))


def _shift(grey: NDArray[np.float32], x: float, y: float) -> NDArray[np.float32]:
    """Return the greys (x, y) px from each px, bilinear; the border is repeated."""
    matrix = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    size, flags = grey.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shifted = cv2.warpAffine(grey, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shifted)


def cross_validated_auc(
    a: Array,
    fingers_a: Sequence[str],
    b: Array,
    fingers_b: Sequence[str],
    parameters: ClassifierParameters = DEFAULT,
) -> float:
    """Return the area under the ROC curve of separating two sets, cross-validated by finger.

    Args:
        a: features of the first set, float64 [n, F].
        fingers_a: finger of each row of `a`.
        b: features of the second set, float64 [m, F].
        fingers_b: finger of each row of `b`.
        parameters: number of folds, fewer if a set has fewer fingers; the classifier.

    Returns:
        The mean over the folds; NaN if a set has fewer than two fingers.
    """
    rng = np.random.default_rng(0)
    folds = min(parameters.folds, len(set(fingers_a)), len(set(fingers_b)))
    if folds < 2:
        return float("nan")
    x, is_b = np.concatenate([a, b]), np.arange(len(a) + len(b)) >= len(a)
    fold_a, fold_b = _assign_folds(fingers_a, folds, rng), _assign_folds(fingers_b, folds, rng)
    fold = np.concatenate([fold_a, fold_b])
    areas = [_fold_auc(x, is_b, fold == k, parameters.penalty) for k in range(folds)]
    return float(np.mean(areas))


def _fold_auc(x: Array, is_b: NDArray[np.bool_], test: NDArray[np.bool_], penalty: float) -> float:
    """Fit the classifier to the rows outside `test` [n] and return its AUC on the others."""
    regression = LogisticRegression(
        C=1 / penalty, class_weight="balanced", solver="newton-cholesky", tol=1e-8
    )
    classifier = make_pipeline(StandardScaler(), regression).fit(x[~test], is_b[~test])
    return float(roc_auc_score(is_b[test], classifier.decision_function(x[test])))


def _assign_folds(
    fingers: Sequence[str], folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the fold of each crop: that of its finger, with equal numbers of fingers per fold."""
    names, index = np.unique(np.array(fingers), return_inverse=True)
    return np.asarray(rng.permutation(len(names))[index] % folds)


def auc_by_group(
    a: Array, fingers_a: Sequence[str], b: Array, fingers_b: Sequence[str]
) -> dict[str, float]:
    """Return `cross_validated_auc` of each group of features alone; arguments as there."""
    groups = feature_groups()
    areas, start = {}, 0
    for name, width in groups.items():
        columns = slice(start, start + width)
        areas[name] = cross_validated_auc(a[:, columns], fingers_a, b[:, columns], fingers_b)
        start += width
    return areas
