"""Trained parameters from a safetensors file: all that registering and evaluating need.

A file holds a tensor for each parameter, named by its dotted path in the network
("backbone.stem.kernel"), and texts of metadata: "format" (FORMAT), "model_config" (JSON of
ModelConfig), "pipeline" (JSON {"crop", "size", "grid"} of the data it was trained on) and, where
`train.evaluation.calibrate` was run, "calibration" (JSON of `model.registration.calibration.CalibrationCurves`). It runs no code when it is
read, and nothing of it is trusted before names, shapes, types and values hold.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from model.network.config import ModelConfig
from model.network.net import Net, create
from model.registration.calibration import CalibrationCurves
from shards.foundation.errors import Fault, Misuse

FORMAT = "1"
CALIBRATION = "calibration"
SHOWN = 4  # differences in one message


@dataclass(frozen=True)
class CropGeometry:
    """What the network was shown in training: crops of `crop` px at 500 ppi brought to `size`."""

    crop: int
    size: int
    grid: int

    def __post_init__(self) -> None:
        """Refuse a window without extent, with a ValueError."""
        if min(self.crop, self.size, self.grid) < 1:
            raise ValueError(f"crop {self.crop}, size {self.size}, grid {self.grid}: 1 or more")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network with its trained parameters, and what it was trained on."""

    net: Net
    geometry: CropGeometry
    curves: CalibrationCurves | None = None  # for probabilities; None before they were fitted


def load(path: Path) -> Checkpoint:
    """The trained network in the .safetensors file at `path`.

    Misuse where there is no file; Fault that names what differs where the file is damaged, is no
    checkpoint, or holds the parameters of another network than the one that it describes.
    """
    if not path.is_file():
        raise Misuse(f"{path}: no such checkpoint; `make train` or `make demo` writes one")
    try:
        with safe_open(path, framework="numpy") as file:
            config, view, curves = _described(file.metadata() or {}, path)
            names = file.keys()
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
            graph, state = nnx.split(nnx.eval_shape(lambda: create(config, 0)))
            _compare(shapes, {name: leaf.shape for name, leaf in tensors(state).items()}, path)
            values = {name: file.get_tensor(name) for name in shapes}
    except (SafetensorError, OSError) as error:
        raise Fault(f"{path}: damaged, or no .safetensors checkpoint: {error}") from error
    _check_values(values, path)
    for keys, leaf in nnx.to_flat_state(state):
        leaf.set_value(jnp.asarray(values[_name(keys)]))
    return Checkpoint(nnx.merge(graph, state), view, curves)


def metadata(
    config: ModelConfig, view: CropGeometry, curves: CalibrationCurves | None = None
) -> dict[str, str]:
    """The metadata that `load` expects of a file."""
    return {
        "format": FORMAT,
        "model_config": json.dumps(dataclasses.asdict(config)),
        "pipeline": json.dumps(dataclasses.asdict(view)),
        **(calibration_metadata(curves) if curves else {}),
    }


def calibration_metadata(curves: CalibrationCurves) -> dict[str, str]:
    """The part of the metadata that says them."""
    return {CALIBRATION: json.dumps(dataclasses.asdict(curves))}


def tensors(params: nnx.State) -> dict[str, Any]:
    """The arrays (or their shapes) of a state by the names that a file has for them."""
    return {_name(keys): leaf.get_value() for keys, leaf in nnx.to_flat_state(params)}


def _name(keys: tuple[Any, ...]) -> str:
    return ".".join(str(key) for key in keys)


def _described(
    metadata: dict[str, str], path: Path
) -> tuple[ModelConfig, CropGeometry, CalibrationCurves | None]:
    """The network, the view and the curves that a file's metadata describe."""
    if metadata.get("format") != FORMAT:
        found = repr(metadata.get("format"))[:40]
        raise Fault(f"{path}: no checkpoint of this program: format {found}, expected {FORMAT!r}")
    view = _parse(CropGeometry, metadata.get("pipeline", ""), "pipeline", path)
    config = _parse(ModelConfig, metadata.get("model_config", ""), "model_config", path)
    if view.size != config.image_size:
        raise Fault(
            f"{path}: trained on crops of {view.crop} px brought to {view.size} px, but its"
            f" network takes {config.image_size} px"
        )
    said = metadata.get(CALIBRATION)
    return (
        config,
        view,
        None if said is None else _parse(CalibrationCurves, said, CALIBRATION, path),
    )


def _parse(kind: Any, text: str, key: str, path: Path) -> Any:
    """The dataclass `kind` from its JSON; a Fault where keys or types are not its own."""
    try:
        fields = json.loads(text)
        expected = typing.get_type_hints(kind)
        if not isinstance(fields, dict) or set(fields) != set(expected):
            found = sorted(fields) if isinstance(fields, dict) else fields
            raise ValueError(f"holds {found}, expected {sorted(expected)}")
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        for name, value in fields.items():
            wanted = typing.get_origin(expected[name]) or expected[name]
            numbers = value if wanted is tuple else (value,) if wanted is int else ()
            if type(value) is not wanted or any(type(n) is not int for n in numbers):
                raise ValueError(f"{name} is {value!r}")
        return kind(**fields)
    except (ValueError, TypeError, RecursionError) as error:
        raise Fault(f"{path}: its metadata {key!r} is of another network: {error}"[:500]) from error


def _compare(
    found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]], path: Path
) -> None:
    """Fault that names tensors that are missing, too many or of another shape."""
    faults = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    faults += [f"{name} is not of this network" for name in sorted(found.keys() - expected.keys())]
    faults += [
        f"{name} is {list(found[name])}, expected {list(expected[name])}"
        for name in sorted(found.keys() & expected.keys())
        if found[name] != tuple(expected[name])
    ]
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise Fault(f"{path}: a checkpoint of another network: {'; '.join(faults[:SHOWN])}{more}")


def _check_values(values: dict[str, NDArray], path: Path) -> None:
    """Fault that names a tensor that is not float32 or not finite."""
    for name, value in values.items():
        if value.dtype != np.float32:
            raise Fault(f"{path}: {name} is {value.dtype}, expected float32")
        if not np.isfinite(value).all():
            raise Fault(f"{path}: {name} holds values that are not finite; the training diverged")
