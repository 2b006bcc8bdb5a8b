"""Shard sets and checkpoints that an earlier Kaggle session left as a notebook's output.

Inputs of a notebook are mounted read-only below /kaggle/input, at a depth that depends on where
they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shards import manifest
from shards.foundation.errors import Misuse
from train import checkpoint

INPUT = Path("/kaggle/input")
SEARCH_DEPTH = 6  # levels below INPUT; Kaggle mounts datasets/OWNER/SLUG/version at most


def find_shards(directory: Path, echo: Callable[[str], None], root: Path = INPUT) -> Path:
    """Find the shard set to train on.

    Args:
        directory: Folder that the user named.
        echo: Prints a line, when another folder is taken.
        root: Folder below which an earlier session's shard set is searched.

    Returns:
        `directory` where it holds a shard set or none is found, else the shard set below `root`.

    Raises:
        Misuse: There are several shard sets below `root`.
    """
    if (directory / manifest.FILE).is_file():
        return directory
    manifests = _files_below(root, manifest.FILE)
    shard_sets = [path.parent for path in manifests if (path.parent / "train").is_dir()]
    if len(shard_sets) > 1:
        raise Misuse(
            f"{directory}: no shard set here, and several below {root}: "
            f"{', '.join(map(str, shard_sets))}; name one with --shards"
        )
    if shard_sets:
        echo(f"{directory}: no shard set here; taking the one in {shard_sets[0]}")
    return shard_sets[0] if shard_sets else directory


def find_checkpoint(run: Path, resume_from: str | None, root: Path = INPUT) -> str | None:
    """Find the checkpoint to resume from.

    Args:
        run: The run's folder.
        resume_from: Value of --resume_from.
        root: Folder below which an earlier session's checkpoints are searched.

    Returns:
        `resume_from`; but for "latest" in a run without checkpoints the most advanced checkpoint
        below `root`, if there is one.
    """
    if resume_from != checkpoint.LATEST or checkpoint.find(run, None):
        return resume_from
    digests = _files_below(root, f"{checkpoint.LATEST}/{checkpoint.DIGESTS}")
    steps = {path.parent: checkpoint.load_meta(path.parent)["step"] for path in digests}
    return str(max(steps, key=steps.__getitem__)) if steps else resume_from


def _files_below(root: Path, name: str) -> list[Path]:
    """Files of this name in folders below `root`, without listing the many images beside them."""
    return [
        path for depth in range(1, SEARCH_DEPTH) for path in sorted(root.glob("*/" * depth + name))
    ]
