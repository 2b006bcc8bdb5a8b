"""Error rates of a verification from its scores, as the FVC competitions define them.

The false match rate FMR(t) is the share of impostor comparisons that score t or more, the false
non-match rate FNMR(t) the share of genuine ones that score less (Maio et al., "FVC2000", IEEE PAMI
24(3), 2002, section 4). Both are steps, and nothing is interpolated between them. A comparison that
could not be made has the score -inf: a genuine one is refused, an impostor one not accepted,
whatever the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.evaluation import bootstrap

Floats = NDArray[np.float64]
NAMES = ("eer", "fmr100", "fmr1000", "zero_fmr", "auc")


@dataclass(frozen=True, eq=False)
class Rates:
    """Both rates at each threshold [T]: every score that occurs, ascending, then infinity."""

    threshold: Floats
    fmr: Floats  # falls
    fnmr: Floats  # rises

    def fnmr_at(self, fmr: float) -> float:
        """The lowest FNMR at which FMR is at most `fmr`: FMR100 is that at 0.01, ZeroFMR at 0."""
        return float(self.fnmr[np.argmax(self.fmr <= fmr)])

    def equal_error(self) -> float:
        """The middle of the FVC's interval: where FNMR overtakes FMR, the step with less error."""
        after = int(np.argmax(self.fnmr >= self.fmr))
        at = after
        if self.fnmr[after] > self.fmr[after] and after > 0:
            before = after - 1
            total = self.fnmr + self.fmr
            at = before if total[before] <= total[after] else after
        return float((self.fnmr[at] + self.fmr[at]) / 2)

    def area(self) -> float:
        """Probability that a genuine pair scores above an impostor pair, ties counted half."""
        fmr, genuine = np.append(1.0, self.fmr), np.append(1.0, 1 - self.fnmr)
        return float(np.trapezoid(genuine[::-1], fmr[::-1]))

    def figures(self) -> dict[str, float]:
        """EER, FMR100, FMR1000, ZeroFMR and the area under the ROC curve, by NAMES."""
        fixed = (self.fnmr_at(share) for share in (0.01, 0.001, 0.0))
        return dict(zip(NAMES, (self.equal_error(), *fixed, self.area()), strict=True))


def measure(score: Floats, genuine: NDArray[np.bool_], weight: Floats | None = None) -> Rates:
    """The rates of scores [P], each comparison counted `weight` [P] times (once where not given).

    There must be a genuine and an impostor comparison of some weight.
    """
    weight = np.ones(len(score)) if weight is None else weight
    threshold = np.append(np.unique(score[np.isfinite(score)]), np.inf)
    below, total = {}, {}
    for kind in (True, False):
        chosen = genuine == kind
        order = np.argsort(score[chosen])
        at = np.searchsorted(score[chosen][order], threshold)
        counted = np.append(0.0, np.cumsum(weight[chosen][order]))
        below[kind], total[kind] = counted[at], counted[-1]
    fmr = (total[False] - below[False]) / total[False]  # 1 - a share would not be 0.01 exactly
    return Rates(threshold, fmr, below[True] / total[True])


def intervals(
    score: Floats, genuine: NDArray[np.bool_], weights: Floats
) -> dict[str, tuple[float, float]]:
    """95 % intervals of the figures, by replicas of the comparisons `weights` [R, P].

    Replicas that hold no genuine or no impostor comparison say nothing and are left out.
    """
    said = [
        list(measure(score, genuine, weight).figures().values())
        for weight in weights
        if weight[genuine].any() and weight[~genuine].any()
    ]
    columns = np.array(said).reshape(-1, len(NAMES)).T
    return {name: bootstrap.interval(of) for name, of in zip(NAMES, columns, strict=True)}
