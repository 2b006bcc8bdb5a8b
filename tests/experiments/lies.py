"""Which lies in a set with correct checksums does the verification find? Run by hand.

    python tests/experiments/lies.py SET [--data ROOT]… [--sizes]

SET is a sound shard set. For each lie of tests/support/lies.py, prints the share of the changed
records that a finding names, and the number of other findings. --data builds records again;
--sample alone where all fingers are synthesized. --sizes asks from which size of an error a map is
found, for pairs of one image and of two impressions.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import lies

SHIFTS = (0.125, 0.25, 0.5, 1, 2, 4, 8, 16)  # px
TURNS = (0.5, 1, 2, 4, 8, 16)  # degrees


def measure(directory, lie, options):
    """Tell a lie; return (changed records, named ones, findings without a named record)."""
    with tempfile.TemporaryDirectory() as folder:
        changed = lies.tell(directory, Path(folder), lie)
        command = [sys.executable, "-m", "shards", "verify", folder, "--json", "--workers", "1"]
        result = subprocess.run([*command, *options], capture_output=True, text=True)
    faults = json.loads(result.stdout)["faults"]
    named = [(fault["file"], fault["record"]) for fault in faults]
    others = sum(place not in set(changed) for place in named)
    return len(changed), len(set(named) & set(changed)), others


def main():
    """Print one line per lie."""
    directory, arguments = Path(sys.argv[1]), sys.argv[2:]
    sizes = "--sizes" in arguments
    options = [a for a in arguments if a != "--sizes"] or ["--deep"]
    table = lies.LIES
    if sizes:
        one, two = lies._one, lies._two
        table = {f"moved {d} px, {n}": lies.shifted(d, k) for d in SHIFTS
                 for n, k in (("one image", one), ("two impressions", two))}  # fmt: skip
        table |= {f"turned {d}°, {n}": lies.rotated(d, k) for d in TURNS
                  for n, k in (("one image", one), ("two impressions", two))}  # fmt: skip
    for name, lie in table.items():
        changed, found, others = measure(directory, lie, options)
        share = f"{found / changed:.3f}" if changed else "-"
        print(f"{name} | {changed} | {share} | {others}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
