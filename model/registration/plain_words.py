"""The result of a registration in plain words."""

from __future__ import annotations

import math

import numpy as np

from model.registration.distortion import nearest_similarity
from model.registration.result import Registration
from shards.foundation.printable import counted, percent


def summary(registration: Registration) -> list[str]:
    """Return a few words each on the score, the matches, the rotation and the mapped area."""
    if not registration.mapped_share:
        reason = f": {registration.refusal}" if registration.refusal else ""
        return [_score(registration), f"no map{reason}"]
    return [
        _score(registration),
        counted(len(registration.matches), "match", "matches"),
        f"B {_turn(registration.angle)}",
        f"{percent(registration.mapped_share)} of A's frame mapped",
    ]


def describe(registration: Registration, finger_area: int | None = None) -> list[str]:
    """Return sentences on a registration, the most important one first.

    Args:
        registration: of A and B.
        finger_area: px of A's file that show the finger; None where it is not known.
    """
    a, b = registration.resolutions
    return [
        _score(registration).capitalize(),
        *(_map_sentences(registration, finger_area)),
        f"Resolution of A: {a}",
        f"Resolution of B: {b}",
        *(
            ["Ridges are dark in one file and light in the other; B is shown inverted"]
            if registration.opposite_polarity
            else []
        ),
        *(
            []
            if registration.calibrated
            else ["The network is not calibrated: scores order pairs, but are no probabilities"]
        ),
    ]


def _map_sentences(registration: Registration, finger_area: float | None) -> list[str]:
    """Return sentences on the map and the matches."""
    similarity = nearest_similarity(registration.map_ab)
    if similarity is None:
        return [f"No map: {registration.refusal or 'no common area found'}"]
    share, whole = registration.mapped_share, "A's frame"
    if finger_area:
        pixels = registration.map_ab.shape[0] * registration.map_ab.shape[1]
        share, whole = min(1.0, share * pixels / finger_area), "A"
    mean, largest = similarity.distances.mean(), similarity.distances.max()
    return [
        f"{percent(share)} of {whole} is seen in B",
        f"B is {_turn(registration.angle)}",
        f"Beyond rotation, shift and scale the skin moved by {mean:.1f} px of B on average,"
        f" {largest:.1f} px at most",
        *_uncertainty(registration),
        _matches(registration),
    ]


def _uncertainty(registration: Registration) -> list[str]:
    """Return how far the map may be off, where the network states it."""
    median = registration.median_sigma
    if median is None:
        return []
    return [f"Standard deviation of the map: {median:.2f} px of B along each axis (median)"]


def _matches(registration: Registration) -> str:
    """Return the number of matches and how probable they are."""
    count = counted(len(registration.matches), "match", "matches")
    if not len(registration.matches):
        return count
    median = float(np.median(registration.matches[:, 4]))
    return f"{count}; half of them are right with a probability of {median:.2f} or more"


def _score(registration: Registration) -> str:
    """Return the score with its meaning."""
    score = registration.score
    if not registration.calibrated:
        return f"score (uncalibrated): {score:.2f}"
    if score > 0.995:  # not 1.00: no score is certain
        return "same finger: above 0.99"
    return "same finger: below 0.01" if score < 0.005 else f"same finger: {score:.2f}"


def _turn(angle: float) -> str:
    """Return a rotation in rad, counter-clockwise as seen, in words."""
    degrees = math.degrees(angle) if math.isfinite(angle) else 0.0
    if abs(degrees) < 0.5:
        return "not turned"
    return f"turned by {abs(degrees):.0f}° {'counter-' * (degrees > 0)}clockwise"
