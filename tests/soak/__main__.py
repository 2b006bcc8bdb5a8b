"""Attack the program from outside: python tests/soak (make soak), at most 20 minutes.

Kills builds and trainings at random moments, changes bytes of shards, checkpoints, maps and logs,
puts special files in the place of inputs and outputs, and takes memory from commands. An attack is
held where the result is right, or where the command ends with an error that names the cause. Prints
a table for docs/RESULTS.md; the exit status is 1 where an attack was not held.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import click

from shards.foundation.text_table import format_table

# Share of the time that each kind of attack may take after its preparation; the last attack that
# began is finished.
SHARES = {
    "kills of a build": 0.2,
    "kills of a training": 0.2,
    "byte faults in a shard": 0.07,
    "byte faults in a network": 0.05,
    "byte faults in a checkpoint": 0.05,
    "byte faults in maps and scores": 0.1,
    "byte faults in a log of results": 0.03,
    "special files": 0.15,
    "starved commands": 0.15,
}


@click.command()
@click.option(
    "--minutes",
    default=15.0,
    show_default=True,
    help="Time of all attacks together, without their preparation.",
)
def main(minutes):
    """Run all kinds of attacks, one after the other."""
    import damaged
    import killed
    import starved

    attacks = dict(
        zip(
            SHARES,
            (
                killed.kill_builds,
                killed.kill_trainings,
                damaged.damage_shards,
                damaged.damage_networks,
                damaged.damage_checkpoints,
                damaged.damage_maps,
                damaged.damage_logs,
                starved.use_special_files,
                starved.starve,
            ),
            strict=True,
        )
    )
    rows, failures, start = [["attack", "attacks", "held", "minutes"]], [], time.monotonic()
    for name, attack in attacks.items():
        click.echo(f"soak: {name}", err=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            outcomes = list(attack(Path(folder), 60 * minutes * SHARES[name]))
        failures += [f"{name}: {failure}" for failure in outcomes if failure]
        taken = (time.monotonic() - began) / 60
        rows.append([name, str(len(outcomes)), str(outcomes.count(None)), f"{taken:.1f}"])
    rows.append(["all", *(str(sum(int(row[k]) for row in rows[1:])) for k in (1, 2))])
    rows[-1].append(f"{(time.monotonic() - start) / 60:.1f}")
    click.echo(format_table(rows))
    for failure in failures:
        click.echo(f"error: not held: {failure}", err=True)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
