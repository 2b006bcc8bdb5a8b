"""The settings of a shard set, read back from its manifest."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from pipeline.building.worker import METHOD, shard_settings
from pipeline.spec import PipelineSpec
from shards.foundation.errors import Fault
from shards.foundation.typed_value import convert


def read_spec(settings: Mapping[str, Any]) -> PipelineSpec:
    """Return the spec whose `shard_settings` a manifest contains.

    Args:
        settings: `Manifest.spec`; it may come from anywhere.

    Raises:
        Fault: the settings are not those that this version of the program writes.
    """
    method = settings.get("method")
    if method != METHOD:
        raise Fault(
            f"was built by method {method!r:.20}, this program has method {METHOD}: its plan and"
            " its records are not compared; build the set again, or verify it with the program"
            " that built it"
        )
    types = typing.get_type_hints(PipelineSpec)
    fields = {key: value for key, value in settings.items() if key != "method"}
    try:
        if unknown := sorted(fields.keys() - types.keys()):
            raise ValueError(f"unknown setting {unknown[0]!r:.60}")
        spec = PipelineSpec(**{key: convert(value, types[key]) for key, value in fields.items()})
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Fault(f"has a spec that no build writes: {error!s:.200}") from error
    if missing := sorted(shard_settings(spec).keys() ^ settings.keys()):
        raise Fault(f"has a spec that no build writes: {missing[0]} is missing or superfluous")
    return dataclasses.replace(spec, partitions=())
