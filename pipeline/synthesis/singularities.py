"""Pattern class of a finger and its singular points: cores and deltas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLASSES = ("arch", "tented-arch", "left-loop", "right-loop", "whorl")

Points = tuple[complex, ...]  # x + iy px from the middle of the master, y upwards


@dataclass(frozen=True)
class SingularityParameters:
    """Numbers of classes and singular points.

    Positions are px from the middle of the master, y upwards. Chosen by eye, unless noted.
    """

    # Shares of CLASSES: Wilson, Candela and Watson 1994, "Neural network fingerprint
    # classification", as used by SFinGe (Handbook of Fingerprint Recognition, ch. 6).
    class_shares: tuple[float, ...] = (0.037, 0.029, 0.338, 0.317, 0.279)
    centre_mean: tuple[float, float] = (0.3, 25.3)  # px (x, y), centre of the pattern
    centre_deviation: tuple[float, float] = (12, 14)  # px (x, y)
    tented_core_drop: float = 15  # px below the centre
    tented_delta_x_deviation: float = 6  # px
    tented_delta_drop_range: tuple[float, float] = (45, 85)  # px below the centre
    loop_delta_side_range: tuple[float, float] = (65, 120)  # px to the side of the core
    loop_delta_drop_range: tuple[float, float] = (75, 140)  # px below the core
    whorl_drop: float = 10  # px, middle of the two cores below the centre
    whorl_cores_range: tuple[float, float] = (6, 45)  # px between the cores
    whorl_slant_deviation: float = 0.3  # rad, of the line through the cores from upright
    whorl_delta_side_range: tuple[float, float] = (75, 125)  # px to each side of the middle
    whorl_delta_drop_range: tuple[float, float] = (80, 135)  # px below the middle
    double_loop_share: float = 0.2  # of the whorls
    double_loop_cores_range: tuple[float, float] = (45, 85)  # px between the cores
    double_loop_slant_range: tuple[float, float] = (0.5, 1.1)  # rad, to either side


DEFAULT = SingularityParameters()


def sample_class(rng: np.random.Generator, parameters: SingularityParameters = DEFAULT) -> str:
    """Sample one of CLASSES in natural proportions."""
    shares = parameters.class_shares
    return CLASSES[int(np.searchsorted(np.cumsum(shares), rng.random() * sum(shares)))]


def sample_singularities(
    label: str, rng: np.random.Generator, parameters: SingularityParameters = DEFAULT
) -> tuple[Points, Points]:
    """Sample the cores and the deltas of a finger of class `label`.

    Returns:
        Cores and deltas: none in an arch, one of each in a tented arch and in a loop, two of each
        in a whorl. Almost surely none lies at the centre of a pixel.
    """
    centre = complex(*rng.normal(parameters.centre_mean, parameters.centre_deviation))
    if label == "arch":
        return (), ()
    if label == "tented-arch":
        shift = rng.normal(0, parameters.tented_delta_x_deviation)
        delta = complex(shift, -rng.uniform(*parameters.tented_delta_drop_range))
        return (centre - 1j * parameters.tented_core_drop,), (centre + delta,)
    if label == "whorl":
        return _sample_whorl(centre, rng, parameters)
    side = 1 if label == "left-loop" else -1
    x = side * rng.uniform(*parameters.loop_delta_side_range)
    return (centre,), (centre + complex(x, -rng.uniform(*parameters.loop_delta_drop_range)),)


def _sample_whorl(
    centre: complex, rng: np.random.Generator, parameters: SingularityParameters
) -> tuple[Points, Points]:
    """Sample two cores, close or (double loop) apart and oblique, and a delta on each side."""
    if rng.random() < parameters.double_loop_share:
        distance = rng.uniform(*parameters.double_loop_cores_range)
        slant: float = rng.choice([-1, 1]) * rng.uniform(*parameters.double_loop_slant_range)
    else:
        distance = rng.uniform(*parameters.whorl_cores_range)
        slant = rng.normal(0, parameters.whorl_slant_deviation)
    half = distance / 2 * np.exp(1j * (np.pi / 2 + slant))
    middle = centre - 1j * parameters.whorl_drop
    deltas = []
    for side in (-1, 1):
        x = side * rng.uniform(*parameters.whorl_delta_side_range)
        deltas.append(middle + complex(x, -rng.uniform(*parameters.whorl_delta_drop_range)))
    return (middle + half, middle - half), tuple(deltas)
