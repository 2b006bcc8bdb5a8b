"""Convert plain values, as of JSON or of a command line, to the types of annotations."""

from __future__ import annotations

import contextlib
import types
import typing
from typing import Any


def convert(value: Any, expected: Any) -> Any:
    """Convert a value to the type of an annotation; TypeError where it has another type.

    Lists are accepted for tuples and whole numbers for floats, at any depth.
    """
    kinds = typing.get_args(expected)
    if isinstance(expected, types.UnionType):
        for kind in kinds:
            with contextlib.suppress(TypeError):
                return convert(value, kind)
    elif kinds and isinstance(value, (list, tuple)):
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        if len(kinds) == len(value):
            return tuple(map(convert, value, kinds))
    elif expected is float and type(value) is int:
        return float(value)
    elif type(value) is expected:
        return value
    raise TypeError(f"{value!r} is no {expected}")
