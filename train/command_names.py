"""Names of the commands of `densereg`, which has those of all packages."""

from __future__ import annotations

PACKAGES = ("model", "pipeline", "shards", "train")  # with commands, in the order of the help

# (package, command) → name. All others keep their own.
NAMES = {
    ("train", "run"): "train",
    ("pipeline", "show"): "show-image",
    ("pipeline", "compare"): "compare-images",
}
