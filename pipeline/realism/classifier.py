"""A classifier that tries to tell two sets of 128-px crops apart, and how well it can.

Logistic regression on what forgeries of texture are usually betrayed by: the power spectrum, the
grey histogram and local binary patterns (Ojala, Pietikäinen and Mäenpää 2002) at three scales.
Cross-validated by finger, so that no finger is known from training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata

from pipeline.imaging.foreground import Image
from pipeline.imaging.warp import Array
from pipeline.realism.measures import spectrum

FOLDS = 5
PENALTY = 10.0  # of the squared weights of standardised features
ROUNDS = 12  # of Newton's method
GREYS = 16  # bins
RADII = (1, 2, 4)  # px, of the binary patterns
PATTERNS = 10  # rotation-invariant uniform ones of eight neighbours
GROUPS = {  # of the features, in their order
    "power spectrum": 32,
    "grey histogram": GREYS,
    "binary patterns at 1 px": PATTERNS,
    "binary patterns at 2 px": PATTERNS,
    "binary patterns at 4 px": PATTERNS,
}


def features(crop: Image) -> Array:
    """What the classifier sees of a crop uint8 [128, 128]: float64 [sum of GROUPS]."""
    greys = np.bincount(crop.ravel() // (256 // GREYS), minlength=GREYS) / crop.size
    patterns = [binary_patterns(crop, radius) for radius in RADII]
    return np.concatenate([spectrum(crop), np.sqrt(greys), *patterns])


def binary_patterns(crop: Image, radius: int) -> Array:
    """Square roots of the shares of the ten patterns of eight neighbours `radius` px away.

    Uniform patterns are told by how many neighbours are lighter, all others are the tenth.
    """
    grey = crop.astype(np.float32)
    angles = np.arange(8) * np.pi / 4
    shifts = np.stack([radius * np.cos(angles), radius * np.sin(angles)], -1)
    lighter = np.array([_moved(grey, x, y) >= grey for x, y in shifts])
    inner = lighter[:, radius:-radius, radius:-radius]
    turns = (inner != np.roll(inner, 1, axis=0)).sum(0)
    kind = np.where(turns <= 2, inner.sum(0), PATTERNS - 1)
    return np.asarray(np.sqrt(np.bincount(kind.ravel(), minlength=PATTERNS) / kind.size))


def _moved(grey: NDArray[np.float32], x: float, y: float) -> NDArray[np.float32]:
    matrix = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = grey.shape[::-1]
    return np.asarray(
        cv2.warpAffine(grey, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    )


def auc(scores: Array, positive: NDArray[np.bool_]) -> float:
    """Probability that a positive scores above a negative; ties count half."""
    ranks = rankdata(scores)
    count = int(positive.sum())
    above = ranks[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(scores) - count)))


def separate(
    a: Array, fingers_a: Sequence[str], b: Array, fingers_b: Sequence[str], seed: int = 0
) -> float:
    """AUC of telling features `a` [n, F] from `b` [m, F], cross-validated by finger.

    The mean over FOLDS folds, each with fingers of both sides that the rest has not; with fewer
    fingers on a side than FOLDS as many as those are. NaN where a side has fewer than two.
    """
    rng = np.random.default_rng(seed)
    folds = min(FOLDS, len(set(fingers_a)), len(set(fingers_b)))
    if folds < 2:
        return float("nan")
    x = np.concatenate([a, b])
    positive = np.arange(len(x)) >= len(a)
    fold = np.concatenate([_folds(fingers, folds, rng) for fingers in (fingers_a, fingers_b)])
    found = []
    for k in range(folds):
        held = fold == k
        scores = _fit(x[~held], positive[~held])(x[held])
        found.append(auc(scores, positive[held]))
    return float(np.mean(found))


def by_group(
    a: Array, fingers_a: Sequence[str], b: Array, fingers_b: Sequence[str]
) -> dict[str, float]:
    """AUC of each group of features alone: what the classifier learned to see."""
    ends = np.cumsum(list(GROUPS.values()))
    return {
        name: separate(a[:, end - width : end], fingers_a, b[:, end - width : end], fingers_b)
        for (name, width), end in zip(GROUPS.items(), ends, strict=True)
    }


def _folds(fingers: Sequence[str], folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The fold of every crop: that of its finger, as many fingers in each as can be."""
    names, index = np.unique(np.array(fingers), return_inverse=True)
    return np.asarray(rng.permutation(len(names))[index] % folds)


def _fit(x: Array, positive: NDArray[np.bool_]) -> Callable[[Array], Array]:
    """Scores by logistic regression on `x` [n, F], by Newton's method; both classes weigh alike."""
    mean, scale = x.mean(0), x.std(0) + 1e-9

    def standard(x: Array) -> Array:
        return np.column_stack([(x - mean) / scale, np.ones(len(x))])

    z, share = standard(x), positive.mean()
    weight = np.where(positive, 0.5 / share, 0.5 / (1 - share))
    penalty = np.full(z.shape[1], PENALTY)
    penalty[-1] = 1e-6  # of the offset
    w = np.zeros(z.shape[1])
    for _ in range(ROUNDS):
        p = expit(z @ w)
        slope = z.T @ (weight * (p - positive)) + penalty * w
        bend = (z.T * (weight * p * (1 - p))) @ z + np.diag(penalty)
        w -= np.linalg.solve(bend, slope)
    return lambda x: np.asarray(standard(x) @ w)
