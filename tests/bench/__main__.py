"""All benchmarks in one table: python tests/bench (make bench).

Ratios are comparable between machines, since both sides run in turn; absolute speeds are not. Pairs
per second refer to the processor time of one core, except for scaling and the training loop (wall
time). The reader is measured in images per second, synthesis in masters and impressions per second.
"""

import contextlib
import io
import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import alternate
import click


def main():
    """Run them one after the other; the build first, as its memory is measured too.

    Each is loaded when its turn comes: processes that others start load this file as well.
    """
    import bench_build
    import bench_reader
    import bench_shards
    import bench_synthesis

    rows, notes = quietly("build", bench_build.measure)
    files, more = quietly("reader", bench_reader.measure)
    rows, notes = rows + files, notes + more
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
    click.echo("\n".join([alternate.render(rows), *notes]))


def quietly(what, measure):
    """Results of `measure`, without the progress bars of what it runs; prints the time it took."""
    click.echo(f"measuring: {what}", err=True)
    start = sum(os.times()[:4])
    with contextlib.redirect_stderr(io.StringIO()):
        results = measure()
    click.echo(f"  {sum(os.times()[:4]) - start:.0f} core-seconds", err=True)
    return results


if __name__ == "__main__":
    main()
