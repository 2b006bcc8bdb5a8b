"""Run alternatives in turn, several times, so that the load of the machine is the same for all."""

import time
from typing import NamedTuple

import numpy as np

from shards.foundation.text_table import format_table

ROUNDS = 3


class Row(NamedTuple):
    """One line of the table: a speed, and its ratio to another of the same round."""

    what: str
    rate: float  # pairs/s
    against: str  # what the ratio is to
    ratios: np.ndarray  # one a round
    aim: float  # least ratio that is aimed at; 0 where there is none


def run_in_turn(actions, rounds=ROUNDS, clock=time.process_time):
    """Return seconds of each action by round, {name: [rounds]}, after one unmeasured round."""
    spent = {name: [] for name in actions}
    for measured in (False, *[True] * rounds):
        for name, action in actions.items():
            start = clock()
            action()
            if measured:
                spent[name].append(clock() - start)
    return {name: np.array(seconds) for name, seconds in spent.items()}


def compare(spent, pairs, what, against, aim=0.0):
    """Return the row of `what`: its speed, and the ratio to the speed of `against`."""
    ratios = spent[against] / spent[what]
    return Row(what, pairs / np.median(spent[what]), against, ratios, aim)


def render(rows):
    """Format the rows as a table, with the median and the range of every ratio."""
    lines = [("", "pairs/s", "ratio", "range", "of", "aim", "")]
    for row in rows:
        ratio = np.median(row.ratios)
        span = f"{row.ratios.min():.2f}–{row.ratios.max():.2f}"
        aim = f"{row.aim:.2f}" if row.aim else ""
        verdict = ("" if not row.aim else "met") if ratio >= row.aim else "missed"
        lines.append(
            (row.what, f"{row.rate:,.0f}", f"{ratio:.2f}", span, row.against, aim, verdict)
        )
    return format_table(lines, left=(0, 4, 6))
