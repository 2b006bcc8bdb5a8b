"""Estimates of the size of shards and of the time of a build."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from pipeline.spec import PipelineSpec


@dataclass(frozen=True)
class SizeParameters:
    """Bytes of a shard; upper bounds, measured on shards of every kind of pair."""

    shard_bytes: int = 131_072  # per ArrayRecord file, in addition to its records
    text_bytes: int = 400  # per record, in addition to its arrays


@dataclass(frozen=True)
class TimeParameters:
    """Seconds of one core."""

    per_pair: float = 0.0015  # measured by tests/bench/bench_build.py
    per_finger: float = 0.24  # master of a synthesized finger; tests/bench/bench_synthesis.py
    per_image: float = 0.03  # synthesized image; tests/bench/bench_synthesis.py


SIZES, TIMES = SizeParameters(), TimeParameters()


def shard_bytes(pairs: int, spec: PipelineSpec, sizes: SizeParameters = SIZES) -> int:
    """Return an upper estimate of the bytes of a shard with this number of pairs."""
    images, map_and_mask = 2 * spec.size**2, 9 * spec.grid**2
    return sizes.shard_bytes + pairs * (images + map_and_mask + sizes.text_bytes)


def build_time(
    pairs: int,
    synthesized_fingers: int,
    synthesized_images: int,
    workers: int,
    times: TimeParameters = TIMES,
) -> timedelta:
    """Return the estimated time of a build on this number of cores."""
    seconds = pairs * times.per_pair
    seconds += synthesized_fingers * times.per_finger + synthesized_images * times.per_image
    return timedelta(seconds=math.ceil(seconds / workers))
