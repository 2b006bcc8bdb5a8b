"""All benches in one table: python tests/bench (make bench).

Speeds depend on the machine and its load, ratios hardly: what is compared runs in turn. Pairs a
second are of one core's processor time, but for the scaling and the training loop (wall time); of
the synthesis it is masters and impressions a second.
"""

import contextlib
import io
import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

import model  # noqa: F401, I001 - says how many threads BLAS has, before numpy is there
import click
import race


def main():
    """Run them one after the other; the build first, as its memory is measured too.

    Each is loaded when its turn comes: processes that others start load this file as well.
    """
    import bench_build
    import bench_shards
    import bench_synthesis

    rows, notes = quietly("build", bench_build.measure)
    drawn, more = quietly("synthesis", bench_synthesis.measure)
    rows, notes = rows + drawn, notes + more
    read, remarks = quietly("shards and loader", bench_shards.measure)
    rows, notes = rows + read, notes + remarks
    import bench_train  # jax is no part of the build's memory

    loop, remarks = quietly("training loop", bench_train.measure)
    rows, notes = rows + loop, notes + remarks
    import bench_register

    pairs, remarks = quietly("registration", bench_register.measure)
    rows, notes = rows + pairs, notes + remarks
    click.echo("\n".join([race.render(rows), *notes]))


def quietly(what, measure):
    """What `measure` finds, without the progress of all that it runs; what that took is told."""
    click.echo(f"measuring: {what}", err=True)
    start = sum(os.times()[:4])
    with contextlib.redirect_stderr(io.StringIO()):
        found = measure()
    click.echo(f"  {sum(os.times()[:4]) - start:.0f} core-seconds", err=True)
    return found


if __name__ == "__main__":
    main()
