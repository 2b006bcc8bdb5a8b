"""Synthetic fingers without files: drawn by the generator while their shards are built.

They are what `python -m pipeline synth` writes as a set of the same name, numbers and seed, under
the same names, to the same pixels and with the same truth; so are then the pairs made of them.
To the same pixels on processors with AVX2, with AVX-512 or without; on others one px in 10⁵ is a
grey level off, for numpy and OpenCV then round sums and functions otherwise.
The generator is loaded where it is asked: it brings scipy, 0.3 s that a build of files saves.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.imaging.file import Image
from pipeline.imaging.warp import Warp
from pipeline.impression import Impression
from pipeline.spec import PipelineSpec
from shards.foundation.errors import Misuse

if TYPE_CHECKING:
    from pipeline.synthesis.master import Master

_PARTITION = re.compile(r"synthetic/[A-Za-z0-9][A-Za-z0-9._-]*")


def is_generated(partition: str, spec: PipelineSpec) -> bool:
    """Whether the images of a partition are drawn, and not read."""
    return spec.fingers > 0 and partition.startswith("synthetic/")


def list_impressions(partition: str, spec: PipelineSpec) -> list[Impression]:
    """All impressions of a partition that is drawn, sorted by image_id; Misuse for an odd name."""
    if not _PARTITION.fullmatch(partition):
        raise Misuse(
            f"{partition}: expected synthetic/NAME of letters, digits, dots, dashes and underscores"
        )
    addresses = ((n, k) for n in range(spec.fingers) for k in range(spec.impressions))
    found = [_impression(partition, spec.finger_seed, *address) for address in addresses]
    return sorted(found, key=lambda impression: impression.image_id)


def _impression(partition: str, seed: int, number: int, k: int) -> Impression:
    from pipeline.synthesis import generate

    finger = f"{partition}/{number:05d}"
    name, ppi = f"{finger}_{k}", generate.sample_style(seed, partition, number, k).ppi
    address = (seed, number, k)
    return Impression(Path(name), name, partition, finger, finger, ppi, generator_address=address)


def identity(impression: Impression) -> bytes:
    """What its image follows from, in the place of a file's bytes: generator and address."""
    from pipeline.synthesis.write import VERSION

    return json.dumps(
        ["synth", VERSION, impression.partition, impression.generator_address]
    ).encode()


def synthesize(impression: Impression) -> tuple[Image, Warp]:
    """The image uint8 [H, W], and the warp from its px to px of the finger's master.

    The master of the last one is kept: ask finger by finger. ValueError for an impression that
    lies in a file.
    """
    from pipeline.synthesis import generate

    if impression.generator_address is None:
        raise ValueError(f"{impression.image_id}: lies in a file")
    seed, finger, number = impression.generator_address
    master = _master(seed, impression.partition, finger)
    made = generate.synthesize_impression(master, seed, impression.partition, finger, number)
    return made.image, made.warp


@lru_cache(maxsize=1)
def _master(seed: int, partition: str, finger: int) -> Master:
    from pipeline.synthesis import generate

    return generate.synthesize_master(seed, partition, finger)
