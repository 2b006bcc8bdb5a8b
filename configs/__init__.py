"""Load config files and override their settings.

A config file is a Python file that defines CONFIG, with the settings that differ from the paper's.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib.util
import os
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.network.config import ModelConfig
from pipeline.spec import PipelineSpec
from shards.foundation import files
from shards.foundation.errors import Misuse
from shards.foundation.typed_value import convert
from train.config import TrainConfig

PAPER = Path(__file__).with_name("paper.py")


@dataclass(frozen=True)
class Config:
    """Settings of data, network and training; a config file defines `CONFIG` of this type."""

    pipeline: PipelineSpec
    model: ModelConfig
    train: TrainConfig


def load(path: Path = PAPER, overrides: tuple[str, ...] = ()) -> Config:
    """Load the CONFIG of a Python file and apply overrides.

    Args:
        path: Config file, or the name of one that ships, such as demo. It is run, so it must be
            trusted.
        overrides: Texts `key=value`, such as "train.steps=100".

    Raises:
        Misuse: The file defines no CONFIG, a key is unknown (the message suggests the nearest), or
            a value has the wrong type.
    """
    shipped = PAPER.with_name(f"{path.name}.py")
    is_name = path == Path(path.name) and files.is_file(shipped)
    if is_name and not os.path.exists(path):  # noqa: PTH110  (never raises)
        path = shipped
    if not files.is_file(path):
        raise Misuse(f"{path}: no such config file; those that ship are {_names()}")
    spec = importlib.util.spec_from_file_location("config_file", path)
    if spec is None or spec.loader is None:
        raise Misuse(f"{path}: a config must be a Python file (.py)")
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
    """Convert a dataclass to {"pipeline.seed": 0, …}."""
    flat: dict[str, Any] = {}
    for item in dataclasses.fields(config):
        value, key = getattr(config, item.name), prefix + item.name
        flat.update(flatten(value, key + ".") if dataclasses.is_dataclass(value) else {key: value})
    return flat


def _names() -> str:
    return ", ".join(path.stem for path in sorted(PAPER.parent.glob("[a-z]*.py")))


def _override(config: Config, override: str) -> Config:
    key, separator, text = override.partition("=")
    if not separator:
        raise Misuse(f"--set {override}: expected key=value, such as train.steps=100")
    keys = list(flatten(config))
    if key not in keys:
        raise Misuse(f"--set {key}: there is no such key; {_suggestion(key, keys)}")
    part, _, name = key.partition(".")
    section = getattr(config, part)
    expected = typing.get_type_hints(type(section))[name]
    value = _parse(text, expected, key)
    try:
        changed = dataclasses.replace(section, **{name: value})
    except ValueError as error:
        raise Misuse(f"--set {override}: {error}") from error
    return dataclasses.replace(config, **{part: changed})


def _suggestion(key: str, keys: list[str]) -> str:
    """The key that the user may have meant; all keys where none is similar."""
    cutoff = 0.4  # similarity of difflib; chosen: accepts two exchanged letters in a short key
    similar = difflib.get_close_matches(key, keys, 1, cutoff)
    if not similar:
        names = [k.partition(".")[2] for k in keys]
        similar = difflib.get_close_matches(key.rpartition(".")[2], names, 1, cutoff)
    return f"did you mean {similar[0]}?" if similar else f"the keys are {', '.join(sorted(keys))}"


def _parse(text: str, expected: Any, key: str) -> Any:
    if expected is str:
        return text
    try:
        value = ast.literal_eval({"null": "None", "true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError):
        value = text.split(",")  # words need no quotes
    try:
        return convert(value, expected)
    except (TypeError, OverflowError) as error:
        name = expected.__name__ if isinstance(expected, type) else expected
        raise Misuse(f"--set {key}={text}: expected {name}, found {text!r}") from error
