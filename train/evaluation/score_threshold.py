"""A recommended threshold of the score, with the error rates that its data support."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shards.foundation.printable import percent
from train.evaluation import bootstrap


@dataclass(frozen=True)
class ThresholdParameters:
    """What a threshold is recommended for. All are chosen."""

    most_fmr: float = 0.001  # FMR on the pairs at hand
    decimals: int = 2  # of the threshold, which is rounded up


DEFAULT = ThresholdParameters()


@dataclass(frozen=True)
class ScoreThreshold:
    """A threshold; pairs with at least this score are accepted.

    Attributes:
        score: the threshold.
        fmr, fnmr: false match rate and false non-match rate of the pairs at hand.
        impostor_pairs, fingers: number of impostor pairs, and of the fingers in them.
        fmr_bound: upper end of the 95 % interval of the FMR without a false match; None with one,
            or with too few fingers.
    """

    score: float
    fmr: float
    fnmr: float
    impostor_pairs: int
    fingers: int
    fmr_bound: float | None

    def __str__(self) -> str:
        """Return it for the user, in one sentence."""
        name, bound = "recommended threshold of the score", ""
        if self.fmr == 0 and self.fmr_bound is None:
            name = "lowest threshold without a false match, no recommendation"
            bound = ", too few for an upper bound"
        elif self.fmr_bound is not None:
            bound = (
                f", which means at most {100 * self.fmr_bound:.2g} %"
                " (95 %, rule of three by finger)"
            )
        return (
            f"{name}: {self.score:g}; FMR {percent(self.fmr, 2)} in {self.impostor_pairs:,}"
            f" impostor pairs of {self.fingers:,} fingers{bound}; FNMR {percent(self.fnmr, 1)}"
        )


def recommend(
    score: NDArray[np.floating],
    genuine: NDArray[np.bool_],
    fingers: int,
    parameters: ThresholdParameters = DEFAULT,
) -> ScoreThreshold | None:
    """Recommend the lowest threshold whose FMR on P pairs is at most `parameters.most_fmr`.

    Args:
        score: float [P]; -inf for a pair that could not be compared.
        genuine: bool [P].
        fingers: number of fingers in the impostor pairs.
        parameters: see `ThresholdParameters`.

    Returns:
        None without pairs of both kinds, or where no score separates them.
    """
    if genuine.all() or not genuine.any():
        return None
    step, impostor = 10.0**-parameters.decimals, np.sort(score[~genuine])
    allowed = math.floor(parameters.most_fmr * len(impostor))
    highest_rejected = float(impostor[len(impostor) - 1 - allowed])
    if not math.isfinite(highest_rejected):
        highest_rejected = 0.0
    threshold = round((math.floor(highest_rejected / step) + 1) * step, parameters.decimals)
    while (impostor >= threshold).sum() > allowed:  # 0.29 / 0.01 is less than 29
        threshold = round(threshold + step, parameters.decimals)
    fmr, fnmr = float((impostor >= threshold).mean()), float((score[genuine] < threshold).mean())
    if fnmr == 1:
        return None
    bound = (
        None
        if fmr
        else bootstrap.zero_error_bound(min(fingers, 2 * len(impostor)), fingers_of_a_pair=2)
    )
    return ScoreThreshold(threshold, fmr, fnmr, len(impostor), fingers, bound)


def count_fingers(pairs: Sequence[tuple[str, str]]) -> int:
    """Return the number of different fingers in pairs of fingers."""
    return len({finger for pair in pairs for finger in pair})
