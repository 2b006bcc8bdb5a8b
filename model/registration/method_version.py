"""Version of the registration method, and everything else that a registration depends on."""

from __future__ import annotations

from pathlib import Path

from shards.foundation import files
from shards.foundation.versions import library_versions

# Raise by 1 in the commit that changes a map, a score or a match of any pair: another value of a
# parameter, or another step in model.registration, model.network or pipeline.imaging. Do not raise
# for comments, names, or the same numbers computed faster. Results of another version that lie in
# an output folder are computed again.
METHOD_VERSION = 18


def describe_method(checkpoint: Path) -> dict[str, str]:
    """Return everything besides the two images on which a registration depends.

    Where this is the same, the same images give the same registration. No source file is read.

    Args:
        checkpoint: the .safetensors file of the network.

    Returns:
        "method", the `METHOD_VERSION`; "checkpoint", the sha256 of the file; and for each numerical
        library its version (`library_versions`).

    Raises:
        OSError: the checkpoint cannot be read.
    """
    sha256 = files.sha256(checkpoint)
    return {"method": str(METHOD_VERSION), "checkpoint": sha256, **library_versions()}
