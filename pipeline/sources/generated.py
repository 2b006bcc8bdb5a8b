"""Synthetic fingers without files: synthesized while their shards are built.

They have the names, pixels and ground truth of the set that `python -m pipeline synth` writes with
the same name, numbers and seed, and their pairs are the same. Pixels depend on the processor:
without AVX-512 (numpy) or AVX2 (OpenCV) one pixel in 10⁵ differs by a grey level, because sums and
functions are rounded differently (docs/LOG.md, 2026-11-29, "Bytes on other processors"). The
generator is imported inside the functions: it imports scipy, 0.3 s that a build from files saves.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.imaging.file import Image
from pipeline.imaging.warp import Warp
from pipeline.impression import Impression
from pipeline.sources.synthetic import SET_NAME
from pipeline.spec import PipelineSpec
from shards.foundation.errors import Misuse

if TYPE_CHECKING:
    from pipeline.synthesis.master import Master

PREFIX = "synthetic/"  # of the partitions


def is_generated(partition: str, spec: PipelineSpec) -> bool:
    """Whether the images of a partition are synthesized instead of read from files."""
    return spec.fingers > 0 and partition.startswith(PREFIX)


def list_impressions(partition: str, spec: PipelineSpec) -> list[Impression]:
    """List the impressions of a partition that is generated.

    Args:
        partition: "synthetic/NAME".
        spec: numbers of fingers and impressions, and the seed.

    Returns:
        All impressions, sorted by image_id. Their paths are image_ids, not files.

    Raises:
        Misuse: NAME is not allowed.
    """
    if not (partition.startswith(PREFIX) and SET_NAME.fullmatch(partition, len(PREFIX))):
        raise Misuse(
            f"{partition}: expected synthetic/NAME of letters, digits, dots, dashes and underscores"
        )
    impressions = [
        impression(partition, spec.finger_seed, finger, number)
        for finger in range(spec.fingers)
        for number in range(spec.impressions)
    ]
    return sorted(impressions, key=lambda impression: impression.image_id)


def impression(partition: str, seed: int, finger: int, number: int) -> Impression:
    """Return the impression `number` of a finger of a partition that is generated."""
    from pipeline.synthesis import generate

    finger_id = f"{partition}/{finger:05d}"
    image_id = f"{finger_id}_{number}"
    return Impression(
        path=Path(image_id),
        image_id=image_id,
        partition=partition,
        person=finger_id,
        finger=finger_id,
        ppi=generate.sample_style(seed, partition, finger, number).ppi,
        generator_address=(seed, finger, number),
    )


def identity(impression: Impression) -> bytes:
    """Return bytes that determine the image: generator, its version, and the address.

    A build hashes them in place of the bytes of a file, to detect changed images.
    """
    from pipeline.synthesis.write import VERSION

    fields = ["synth", VERSION, impression.partition, impression.generator_address]
    return json.dumps(fields).encode()


def synthesize(impression: Impression) -> tuple[Image, Warp]:
    """Synthesize an impression.

    The latest master is kept in memory, so that impressions should be asked for finger by finger.

    Returns:
        The image, uint8 [H, W], and the warp from its px to px of the finger's master.

    Raises:
        ValueError: the impression is in a file.
    """
    from pipeline.synthesis import generate

    if impression.generator_address is None:
        raise ValueError(f"{impression.image_id}: is in a file, it cannot be synthesized")
    seed, finger, number = impression.generator_address
    partition = impression.partition
    master = synthesize_master(seed, partition, finger)
    synthetic = generate.synthesize_impression(master, seed, partition, finger, number)
    return synthetic.image, synthetic.warp


def to_master(impression: Impression, attempt: int) -> Warp:
    """Return the warp of an attempt at a synthesized impression, without its image.

    Args:
        impression: an impression that is generated.
        attempt: 0, 1, …; the image is that of the first attempt with a foreground.
    """
    from pipeline.synthesis import generate

    assert impression.generator_address is not None
    seed, finger, number = impression.generator_address
    return generate.sample_warp(seed, impression.partition, finger, number, attempt)


@lru_cache(maxsize=1)
def synthesize_master(seed: int, partition: str, finger: int) -> Master:
    """Return the master of a finger; the latest one is kept for its next impression."""
    from pipeline.synthesis import generate

    return generate.synthesize_master(seed, partition, finger)
