"""Chooses a label at every node of a grid such that neighbours choose alike.

Min-sum loopy belief propagation with a truncated quadratic (Felzenszwalb & Huttenlocher, "Efficient
belief propagation for early vision", IJCV 2006), whose two dimensions are taken one after the
other. Ridges are periodic: alone, a window fits as well one ridge beside the truth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

SIDES = ((2, 1), (2, -1), (3, 1), (3, -1))  # axis of the grid, and the way a message goes


def choose(cost: Field, bend: float, most: float, rounds: int = 8) -> NDArray[np.int64]:
    """Labels int64 [Ny, Nx, 2] (x, y) for the costs float32 [S, S, Ny, Nx] (y, then x) of each.

    Neighbours whose labels are d apart cost bend · d² more, `most` at most. Messages are halved
    with those of the round before, without which they swing on a grid.
    """
    messages: list[Field] = [np.zeros_like(cost) for _ in SIDES]
    for _ in range(rounds):
        belief = cost + sum(messages)
        # what goes one way leaves out what came from there: its opposite in SIDES
        sent = [_send(belief - messages[k ^ 1], bend, most, *SIDES[k]) for k in range(len(SIDES))]
        messages = [(old + new) * np.float32(0.5) for old, new in zip(messages, sent, strict=True)]
    belief = cost + sum(messages)
    y, x = np.divmod(belief.reshape(-1, *cost.shape[2:]).argmin(0), len(cost))
    return np.stack([x, y], -1)


def _send(belief: Field, bend: float, most: float, axis: int, way: int) -> Field:
    """The messages [S, S, Ny, Nx] that reach every node from its neighbour against `way`."""
    least = belief.min((0, 1), keepdims=True)
    near = _nearest(_nearest(belief, bend, most, 0), bend, most, 1)
    message = np.moveaxis(np.minimum(near, least + np.float32(most)) - least, axis, 0)
    out = np.zeros_like(message)
    if way > 0:
        out[1:] = message[:-1]
    else:
        out[:-1] = message[1:]
    return np.moveaxis(out, 0, axis)


def _nearest(belief: Field, bend: float, most: float, axis: int) -> Field:
    """The least of belief + bend · d² over labels d apart along `axis`, as far as that matters."""
    source = np.moveaxis(belief, axis, 0)
    out = source.copy()
    for apart in range(1, min(int((most / bend) ** 0.5) + 1, len(source))):
        more = np.float32(bend * apart**2)
        np.minimum(out[apart:], source[:-apart] + more, out=out[apart:])
        np.minimum(out[:-apart], source[apart:] + more, out=out[:-apart])
    return np.moveaxis(out, 0, axis)
