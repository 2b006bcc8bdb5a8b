"""The files that the registration of two images writes: their names, and whether they can be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from shards.foundation import files
from shards.foundation.errors import Misuse

DEFAULT = Path("registration.npz")  # in the working directory


def check_outputs(inputs: Sequence[Path], out: Path, picture: Path | None) -> Path:
    """Check before anything is computed that the outputs can be written.

    Args:
        inputs: the files that are read.
        out: the registration.
        picture: of the registration; None without one.

    Returns:
        The path of the page beside `out`.

    Raises:
        Misuse: an output is an input or another output, or its name has another ending than its
            format.
        Fault: an output cannot be written.
    """
    page = out.parent / f"{out.stem}.html"
    if page in (out, picture):
        raise Misuse(f"{page}: is the page on the registration; name --out and --picture otherwise")
    outputs = [out, page, *([picture] if picture else [])]
    _refuse_to_replace(inputs, outputs)
    files.require_ending(out, ".npz", "--out")
    if picture is not None and picture.suffix.lower() != ".png":
        raise Misuse(
            f"--picture {picture}: expected a name that ends in .png; in Python"
            " densereg.register(A, B).plot().savefig(NAME) writes other formats"
        )
    for path in outputs:
        files.check_writable(path, follow_links=True)
    return page


def _refuse_to_replace(inputs: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Check that every output is a file of its own, and none is an input."""
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        if os.path.realpath(path) in taken:
            raise Misuse(
                f"{path}: is an input or another output; name --out and --picture otherwise"
            )
        taken.add(os.path.realpath(path))
