"""Checks that a shard set fits the network that is to be trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.network.config import ModelConfig
from shards.foundation.errors import Fault
from shards.manifest import Manifest


def check_fits(manifest: Manifest, model: ModelConfig, directory: Path) -> None:
    """Check that the records of a shard set have the sizes that the network takes.

    Args:
        manifest: Manifest of the shard set.
        model: Config of the network.
        directory: Folder of the shard set, for messages.

    Raises:
        Fault: The image size differs, the truth's grid is no multiple of the matching grid, or the
            manifest's spec does not state them.
    """
    spec: dict[str, Any] = {key: manifest.spec.get(key) for key in ("crop", "size", "grid")}
    if any(type(value) is not int or value < 1 for value in spec.values()):
        raise Fault(f"{directory}/manifest.json: its spec has no whole crop, size and grid: {spec}")
    if spec["size"] != model.image_size:
        raise Fault(
            f"{directory}: images of {spec['size']} px, the config's network takes "
            f"{model.image_size} px (model.image_size); build the shards with the same --config"
        )
    if spec["grid"] % model.cells:
        raise Fault(
            f"{directory}: ground truth on {spec['grid']} cells per side, the config's network has "
            f"{model.cells} (model.image_size / model.stride), which do not divide it; "
            "build the shards with the same --config"
        )
