"""Versions of the numerical libraries on which the bytes of a result depend."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata

# Library → the distributions that may provide it. OpenCV is published under four names.
DISTRIBUTIONS = {
    "jax": ("jax",),
    "jaxlib": ("jaxlib",),
    "numpy": ("numpy",),
    "pillow": ("pillow",),
    "opencv": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python-headless",
        "opencv-contrib-python",
    ),
}
# The libraries on which the bytes of shards depend.
BUILD_DISTRIBUTIONS = {
    "numpy": DISTRIBUTIONS["numpy"],
    "pillow": DISTRIBUTIONS["pillow"],
    "opencv": DISTRIBUTIONS["opencv"],
    "pyfastnoiselite": ("pyfastnoiselite",),
    "scipy": ("scipy",),
}


def library_versions(
    distributions: Mapping[str, tuple[str, ...]] = DISTRIBUTIONS,
) -> dict[str, str]:
    """Return the installed version of each library, such as {"jax": "0.10.2", …}.

    The versions come from the installed package metadata: no library is imported. A result that is
    stored together with them is used again only where all of them are the same.
    """
    return {library: _version(names) for library, names in distributions.items()}


def _version(distributions: tuple[str, ...]) -> str:
    """Return the versions of the installed ones of several distributions."""
    versions = []
    for name in distributions:
        try:
            versions.append(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(versions) or "not installed"
