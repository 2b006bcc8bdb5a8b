"""Pictures of the worst pairs of each kind, for the pages on evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shards.foundation.progress import Progress

Picture = dict[str, str]  # "image" (data address), "text"
PlotPair = Callable[[str, int, int], Picture]  # kind, rank from 1, index of the pair → picture


@dataclass(frozen=True)
class WorstPairsParameters:
    """How many of the worst pairs are shown, and how."""

    count: int = 10  # of each kind; chosen
    jpeg_dpi: int = 62  # of their pictures in a page; chosen: small files


DEFAULT = WorstPairsParameters()


def plot_worst(worst: Mapping[str, Sequence[int]], plot_pair: PlotPair) -> dict[str, list[Picture]]:
    """Plot the worst pairs of each kind, with a progress bar.

    Args:
        worst: {kind: indices of pairs, the worst first}.
        plot_pair: registers a pair once more and plots it.

    Returns:
        {kind: pictures}.
    """
    pictures: dict[str, list[Picture]] = {kind: [] for kind in worst}
    with Progress("plot the worst", sum(map(len, worst.values())), "pairs") as progress:
        for kind, indices in worst.items():
            for rank, index in enumerate(indices, 1):
                pictures[kind].append(plot_pair(kind, rank, index))
                progress.advance()
    return pictures
