"""Colours of the plots of evaluations: one for each method and each kind of pairs."""

from __future__ import annotations

from collections.abc import Sequence

from train.evaluation import crop_methods, file_methods
from train.evaluation.benchmark import entries

GENUINE, IMPOSTOR = "#14823c", "#c82828"  # as on contact sheets

METHODS = {
    crop_methods.NETWORK: "#1f5fa8",
    entries.OURS: "#1f5fa8",  # the same method
    crop_methods.SMOOTH: "#17a2b8",
    crop_methods.REGISTERED: "#0b2a5b",
    file_methods.SIFT: "#d9822b",
    file_methods.PHASE: "#7a5195",
}
OTHERS = (
    "#6b6b6b",
    "#a0527d",
    "#8a6d1f",
    "#2a9d8f",
    "#b5483a",
    "#4d7c0f",
)  # for methods by other names, in order


def method_colours(methods: Sequence[str]) -> dict[str, str]:
    """Return the colour of each method; the same in every plot for those in METHODS."""
    others = [method for method in methods if method not in METHODS]
    chosen = {method: OTHERS[k % len(OTHERS)] for k, method in enumerate(others)}
    return {method: METHODS.get(method) or chosen[method] for method in methods}
