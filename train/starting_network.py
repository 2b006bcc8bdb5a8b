"""The trained network whose parameters a run starts from, in place of random ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import jax
from flax import nnx

from model.network import weights
from model.network.config import ModelConfig
from model.network.weights import CropGeometry
from shards.foundation import files
from shards.foundation.errors import Misuse
from train.state import State, replicated


@dataclass(frozen=True, eq=False)
class StartingNetwork:
    """A trained network to start from.

    Attributes:
        sha256: of its file.
        params: its parameters.
    """

    sha256: str
    params: nnx.State

    def replace_parameters(self, state: State, mesh: jax.sharding.Mesh) -> State:
        """Return a state at step 0 with the parameters of this network, replicated over a mesh."""
        return dataclasses.replace(state, params=jax.device_put(self.params, replicated(mesh)))


def load(path: Path, model: ModelConfig, geometry: CropGeometry) -> StartingNetwork:
    """Load the network that a run is to start from.

    Args:
        path: A .safetensors file.
        model: Settings of the network that is to be trained.
        geometry: Geometry of the training crops.

    Raises:
        Misuse: The file does not exist, or its network has other settings or was trained on other
            crops. The dtype of the computation may differ.
        Fault: The file is damaged or is not a checkpoint.
    """
    stored = weights.load(path)
    kept = dataclasses.asdict(stored.net.config) | {"compute_dtype": model.compute_dtype}
    kept |= dataclasses.asdict(stored.geometry)
    wanted = dataclasses.asdict(model) | dataclasses.asdict(geometry)
    differences = [f"{k} {kept[k]}, here {wanted[k]}" for k in wanted if kept[k] != wanted[k]]
    if differences:
        raise Misuse(
            f"{path}: cannot be started from, since its network differs: {'; '.join(differences)}."
            " Train and build the shards with the --config of that network"
        )
    return StartingNetwork(files.sha256(path), nnx.split(stored.net)[1])
