"""Checkpoints: a network's trained parameters in a .safetensors file.

A file has one tensor per parameter, named by its dotted path in the network
("backbone.stem.kernel"), and texts as metadata: "format" (FORMAT), "model_config" (JSON of
`ModelConfig`), "pipeline" (JSON of `CropGeometry`) and, after `python -m train calibrate`,
"calibration" (JSON of `CalibrationCurves`), "score" (of `ScoreWeights`) and "uncertainty" (of
`UncertaintyWeights`); files of earlier versions have the first of these alone. Reading it runs no
code, and nothing of it is used before its digest (`model.network.tensor_file`), names, shapes,
types and values are checked.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from model.network import tensor_file
from model.network.config import ModelConfig
from model.network.net import Net, outline
from model.registration.calibration import (
    Calibration,
    CalibrationCurves,
    ExplainedMatchCurve,
    ScoreWeights,
    UncertaintyWeights,
)
from shards.foundation.errors import Fault

FORMAT = "1"
CALIBRATION, SCORE, UNCERTAINTY = "calibration", "score", "uncertainty"
EXPLAINED = "explained_matches"
LISTED_DIFFERENCES = 4  # in one message
MESSAGE_CHARACTERS = 500
LARGEST_SIDE = 8192  # px; the largest image that is read (`pipeline.imaging.file`)

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class CropGeometry:
    """Geometry of the training crops.

    Attributes:
        crop: side of a crop, px at 500 ppi.
        size: side of the network's images, px, to which a crop is resampled.
        grid: cells per side of the ground truth (G).

    Raises:
        ValueError: a number is below 1 or too large.
    """

    crop: int
    size: int
    grid: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        numbers = (self.crop, self.size, self.grid)
        if not 1 <= min(numbers) <= max(numbers) <= LARGEST_SIDE:
            raise ValueError(f"{self}: expected numbers of 1 to {LARGEST_SIDE}")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network.

    Attributes:
        net: the network with its parameters.
        geometry: of the crops that it was trained on.
        calibration: None where none was fitted.
    """

    net: Net
    geometry: CropGeometry
    calibration: Calibration | None = None

    @property
    def curves(self) -> CalibrationCurves | None:
        """The curves of its calibration."""
        return self.calibration.curves if self.calibration else None


def load(path: Path, digest_required: bool = True) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: the file.
        digest_required: see `model.network.tensor_file.read`.

    Raises:
        Misuse: the file does not exist.
        Fault: the file is damaged or is not a checkpoint, or its tensors are not the parameters of
            the network in its metadata; the message names the differences.
    """
    values, texts = tensor_file.read(path, digest_required)
    config, geometry, calibration = _parse_metadata(texts, path)
    graph, state = _outline(config, path)
    expected = {name: leaf.shape for name, leaf in tensors(state).items()}
    _check_shapes({name: value.shape for name, value in values.items()}, expected, path)
    _check_values(values, path)
    for keys, leaf in nnx.to_flat_state(state):
        leaf.set_value(jax.device_put(values[_name(keys)]))
    return Checkpoint(nnx.merge(graph, state), geometry, calibration)


def metadata(
    config: ModelConfig, geometry: CropGeometry, calibration: Calibration | None = None
) -> dict[str, str]:
    """Return the metadata of a checkpoint."""
    return {
        "format": FORMAT,
        "model_config": json.dumps(dataclasses.asdict(config)),
        "pipeline": json.dumps(dataclasses.asdict(geometry)),
        **(calibration_metadata(calibration) if calibration else {}),
    }


def calibration_metadata(calibration: Calibration) -> dict[str, str]:
    """Return the part of the metadata that holds a calibration."""
    parts = {
        CALIBRATION: calibration.curves,
        SCORE: calibration.score,
        UNCERTAINTY: calibration.uncertainty,
        EXPLAINED: calibration.explained,
    }
    return {key: json.dumps(dataclasses.asdict(part)) for key, part in parts.items() if part}


def _outline(config: ModelConfig, path: Path) -> tuple[nnx.GraphDef[Net], nnx.State]:
    """Return the graph and the shapes of a network; Fault where it cannot be built."""
    try:
        graph, state = outline(config)
    except Exception as error:  # of any type, for settings that fit the schema but not each other
        message = f"{path}: its metadata states a network that cannot be built: {error}"
        raise Fault(message[:MESSAGE_CHARACTERS]) from error
    return graph, state


def tensors(params: nnx.State) -> dict[str, Any]:
    """Return the arrays (or their shapes) of a state by the names of a checkpoint's tensors."""
    return {_name(keys): leaf.get_value() for keys, leaf in nnx.to_flat_state(params)}


def nest(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays by dotted name as nested dicts: "a.b" becomes ["a"]["b"].

    The items of lists have their number as key, a text: "stages.0" becomes ["stages"]["0"].
    """
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *modules, last = name.split(".")
        node = tree
        for module in modules:
            node = node.setdefault(module, {})
        node[last] = array
    return tree


def _name(keys: tuple[Any, ...]) -> str:
    return ".".join(str(key) for key in keys)


def _parse_metadata(
    metadata: dict[str, str], path: Path
) -> tuple[ModelConfig, CropGeometry, Calibration | None]:
    """Return the config, the geometry and the calibration in a file's metadata."""
    if metadata.get("format") != FORMAT:
        format_ = repr(metadata.get("format"))[:40]
        raise Fault(
            f"{path}: not a checkpoint of this program: format {format_}, expected {FORMAT!r}"
        )
    geometry = _parse(CropGeometry, metadata.get("pipeline", ""), "pipeline", path)
    config = _parse(ModelConfig, metadata.get("model_config", ""), "model_config", path)
    if geometry.size != config.image_size:
        raise Fault(
            f"{path}: trained on crops resampled to {geometry.size} px, but its network takes"
            f" {config.image_size} px"
        )
    if CALIBRATION not in metadata:
        return config, geometry, None
    kinds = {
        CALIBRATION: CalibrationCurves,
        SCORE: ScoreWeights,
        UNCERTAINTY: UncertaintyWeights,
        EXPLAINED: ExplainedMatchCurve,
    }
    parts = {
        key: _parse(kind, metadata[key], key, path)
        for key, kind in kinds.items()
        if key in metadata
    }
    return (
        config,
        geometry,
        Calibration(
            parts[CALIBRATION], parts.get(SCORE), parts.get(UNCERTAINTY), parts.get(EXPLAINED)
        ),
    )


def _parse(kind: Any, text: str, key: str, path: Path) -> Any:
    """Parse a dataclass `kind` from JSON; Fault where a key, a type or a value is wrong."""
    try:
        fields = json.loads(text)
        expected = typing.get_type_hints(kind)
        if not isinstance(fields, dict) or set(fields) != set(expected):
            names = sorted(fields) if isinstance(fields, dict) else fields
            raise ValueError(f"has {names}, expected {sorted(expected)}")
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        for name, value in fields.items():
            _check_type(name, value, expected[name])
        return kind(**fields)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        message = f"{path}: its metadata {key!r} is of another network: {error}"
        raise Fault(message[:MESSAGE_CHARACTERS]) from error


def _check_type(name: str, value: Any, hint: Any) -> None:
    """ValueError where a value is not of the type of its field: a number, a text, or integers."""
    expected = typing.get_origin(hint) or hint
    integers: tuple[Any, ...] = ()
    if expected is tuple:
        integers = value
    elif expected is int:
        integers = (value,)
    if type(value) is not expected or any(type(integer) is not int for integer in integers):
        raise ValueError(f"{name} is {value!r}")


def _check_shapes(shapes: Shapes, expected: Shapes, path: Path) -> None:
    """Fault that names tensors that are missing, superfluous or of another shape."""
    differences = [f"{name} is missing" for name in sorted(expected.keys() - shapes.keys())]
    differences += [
        f"{name} is not of this network" for name in sorted(shapes.keys() - expected.keys())
    ]
    differences += [
        f"{name} is {list(shapes[name])}, expected {list(expected[name])}"
        for name in sorted(shapes.keys() & expected.keys())
        if shapes[name] != tuple(expected[name])
    ]
    if differences:
        listed = "; ".join(differences[:LISTED_DIFFERENCES])
        rest = len(differences) - LISTED_DIFFERENCES
        more = f"; and {rest} more" if rest > 0 else ""
        raise Fault(f"{path}: a checkpoint of another network: {listed}{more}")


def _check_values(values: dict[str, NDArray], path: Path) -> None:
    """Fault that names a tensor that is not float32 or not finite."""
    for name, value in values.items():
        if value.dtype != np.float32:
            raise Fault(f"{path}: {name} is {value.dtype}, expected float32")
        if not np.isfinite(value).all():
            raise Fault(f"{path}: {name} has values that are not finite; the training diverged")
