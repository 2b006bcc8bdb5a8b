"""Configs: one Python file each, that names every setting in which it differs from the paper."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import importlib.util
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.network.config import ModelConfig
from pipeline.spec import PipelineSpec
from shards.foundation.errors import Misuse
from train.config import TrainConfig

PAPER = Path(__file__).with_name("paper.py")


@dataclass(frozen=True)
class Config:
    """The three parts of a config; a config file defines `CONFIG` of this type."""

    pipeline: PipelineSpec
    model: ModelConfig
    train: TrainConfig


def load(path: Path = PAPER, overrides: tuple[str, ...] = ()) -> Config:
    """The CONFIG of the Python file at `path` after `key=value` overrides.

    Misuse where the file has none, a key is unknown (the nearest is suggested) or a value is of
    the wrong type.
    """
    if not path.is_file():
        raise Misuse(f"{path}: no such config file; configs/ holds {_names()}")
    spec = importlib.util.spec_from_file_location("config_file", path)
    if spec is None or spec.loader is None:
        raise Misuse(f"{path}: a config is a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Misuse(f"{path}: does not run as Python: {type(error).__name__}: {error}") from error
    config = getattr(module, "CONFIG", None)
    if not isinstance(config, Config):
        raise Misuse(f"{path}: defines no CONFIG of the type configs.Config")
    for override in overrides:
        config = _override(config, override)
    return config


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """A dataclass as {"pipeline.seed": 0, …}."""
    flat: dict[str, Any] = {}
    for item in dataclasses.fields(config):
        value, key = getattr(config, item.name), prefix + item.name
        flat.update(flatten(value, key + ".") if dataclasses.is_dataclass(value) else {key: value})
    return flat


def _names() -> str:
    return ", ".join(p.name for p in sorted(PAPER.parent.glob("[a-z]*.py")) if p.name != "door.py")


def _override(config: Config, override: str) -> Config:
    key, separator, text = override.partition("=")
    if not separator:
        raise Misuse(f"--set {override}: expected key=value, such as train.steps=100")
    known = flatten(config)
    if key not in known:
        near = difflib.get_close_matches(key, known, 1, 0.4) or difflib.get_close_matches(
            key.rpartition(".")[2], [k.partition(".")[2] for k in known], 1, 0.4
        )
        hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(sorted(known))}"
        raise Misuse(f"--set {key}: there is no such key; {hint}")
    part, _, name = key.partition(".")
    section = getattr(config, part)
    expected = typing.get_type_hints(type(section))[name]
    value = _parse(text, expected, key)
    try:
        changed = dataclasses.replace(section, **{name: value})
    except ValueError as error:
        raise Misuse(f"--set {override}: {error}") from error
    return dataclasses.replace(config, **{part: changed})


def _parse(text: str, expected: Any, key: str) -> Any:
    if expected is str:
        return text
    try:
        value = ast.literal_eval({"null": "None", "true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError):
        value = text.split(",")  # words need no quotes
    try:
        return _as(value, expected)
    except (TypeError, OverflowError) as error:
        name = expected.__name__ if isinstance(expected, type) else expected
        raise Misuse(f"--set {key}={text}: expected {name}, found {text!r}") from error


def _as(value: Any, expected: Any) -> Any:
    """The value as the annotation `expected` has it: lists for tuples and whole numbers for floats
    are welcome, at any depth; TypeError where it is something else."""
    kinds = typing.get_args(expected)
    if isinstance(expected, types.UnionType):
        for kind in kinds:
            with contextlib.suppress(TypeError):
                return _as(value, kind)
    elif kinds and isinstance(value, (list, tuple)):
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        if len(kinds) == len(value):
            return tuple(map(_as, value, kinds))
    elif expected is float and type(value) is int:
        return float(value)
    elif type(value) is expected:
        return value
    raise TypeError(f"{value!r} is no {expected}")
