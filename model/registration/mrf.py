"""Choose a label at every node of a grid so that neighbours have similar labels.

Min-sum loopy belief propagation on a Markov random field with a truncated quadratic smoothness
cost, whose two dimensions are minimised one after the other (Felzenszwalb & Huttenlocher,
"Efficient belief propagation for early vision", IJCV 2006). Ridges are periodic: a single window
fits as well one ridge period beside the truth, and only its neighbours tell which is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

# Axis of the grid and direction of a message; k and k ^ 1 are opposite.
DIRECTIONS = ((2, 1), (2, -1), (3, 1), (3, -1))


@dataclass(frozen=True)
class MrfParameters:
    """Parameters of the random field. Costs are in units of correlation."""

    # Smoothness cost of labels that differ by d: slope · d², at most `largest_cost`. Chosen, the
    # slope for nodes 28 px at 500 ppi apart: of nodes half as far apart it is twice as large.
    slope: float = 0.035
    largest_cost: float = 0.5
    # Rounds of messages. Chosen.
    rounds: int = 8
    # Weight of the new message against that of the last round; without damping, messages oscillate
    # on a grid.
    damping: float = 0.5


DEFAULT = MrfParameters()


def choose_labels(cost: Field, parameters: MrfParameters = DEFAULT) -> NDArray[np.int64]:
    """Choose the labels that minimise the sum of label costs and smoothness costs.

    Args:
        cost: float32 [S, S, Ny, Nx], cost of label (y, then x) at each node.
        parameters: see `MrfParameters`.

    Returns:
        Labels int64 [Ny, Nx, 2] (x, y).
    """
    messages: list[Field] = [np.zeros_like(cost) for _ in DIRECTIONS]
    for _ in range(parameters.rounds):
        belief = cost + sum(messages)
        new = [
            # without the message from the node that this one goes to
            _send(belief - messages[k ^ 1], parameters, *DIRECTIONS[k])
            for k in range(len(DIRECTIONS))
        ]
        messages = [
            np.float32(1 - parameters.damping) * old + np.float32(parameters.damping) * message
            for old, message in zip(messages, new, strict=True)
        ]
    belief = cost + sum(messages)
    y, x = np.divmod(belief.reshape(-1, *cost.shape[2:]).argmin(0), len(cost))
    return np.stack([x, y], -1)


def _send(belief: Field, parameters: MrfParameters, axis: int, direction: int) -> Field:
    """Return the messages [S, S, Ny, Nx] that arrive at every node from its neighbour."""
    least = belief.min((0, 1), keepdims=True)
    smooth = _minimise(_minimise(belief, parameters, 0), parameters, 1)
    truncated = np.minimum(smooth, least + np.float32(parameters.largest_cost)) - least
    sent = np.moveaxis(truncated, axis, 0)
    received = np.zeros_like(sent)
    if direction > 0:
        received[1:] = sent[:-1]
    else:
        received[:-1] = sent[1:]
    return np.moveaxis(received, 0, axis)


def _minimise(belief: Field, parameters: MrfParameters, axis: int) -> Field:
    """Return the least of belief + slope · d² over labels at distance d along `axis`."""
    least = belief.copy()
    source, target = (belief, least) if axis == 0 else (belief.swapaxes(0, 1), least.swapaxes(0, 1))
    farther = np.empty_like(source)
    largest_distance = int((parameters.largest_cost / parameters.slope) ** 0.5)
    for distance in range(1, min(largest_distance + 1, len(source))):
        np.add(source, np.float32(parameters.slope * distance**2), out=farther)
        np.minimum(target[distance:], farther[:-distance], out=target[distance:])
        np.minimum(target[:-distance], farther[distance:], out=target[:-distance])
    return least
