"""Split of persons into training, validation and test; limits on training images.

The split of a person depends on the person's name alone, not on the files, the partitions or the
devices that are present. A person is therefore in one split in every shard set.

FVC2002      By finger, because persons are not published. Of fingers 1-100, ten are for test and
             ten for validation; of fingers 101-110, two and two, by fixed permutations. The numbers
             are the same in all four databases, which is safe even if one finger was recorded in
             two databases. FVC2000 and FVC2004 have the same split.
synthetic    By finger number. Of every ten consecutive numbers, one is for test and one for
             validation, so that a larger set keeps the split of a smaller one.
NIST         By person (subject number), for SD300, SD301 and SD302 together. Of every ten
             consecutive numbers, one is for test, and one is for validation in three of four tens.
             These are 10 % and 7.5 %: 20 and 15 of 200 persons, which correspond to IFViT's 200
             test fingers and 152 validation fingers of SD302.
others       Other published data sets, and anyone's own (folder/NAME). By person; by finger where
             persons are unknown. Where names end with a number, one of ten consecutive numbers
             (1-10, 11-20, …) is for test and one for validation; other names are chosen by their
             SHA-256, one in ten each. They are held out whatever `held_out` says. A list of
             anyone's own images may state the split of each person instead.

Limitation: the subject numbers of SD302 are only in the delivery. They are 200 of the 344 numbers
2302-2645, of which 34 are for test and 26 for validation. The number of held-out subjects that
exist is hypergeometric: 19.8 and 15.1 on average, standard deviations 2.7 and 2.5. The audit prints
the numbers of a delivery.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from zlib import crc32

import numpy as np

from pipeline.impression import Impression
from pipeline.spec import HELD_OUT, PipelineSpec


@dataclass(frozen=True)
class SplitParameters:
    """Numbers of held-out fingers and persons; each pair is (test, validation)."""

    seed: int = 6  # chosen: the smallest with which SD302's range has 34 and 26 held-out numbers
    fvc_a_held_out: tuple[int, int] = (10, 10)  # of fingers 1-100; chosen
    fvc_b_held_out: tuple[int, int] = (2, 2)  # of fingers 101-110; chosen
    synthetic_held_out: tuple[int, int] = (1, 1)  # of ten fingers; chosen
    other_held_out: tuple[int, int] = (1, 1)  # of ten persons; chosen
    nist_held_out: tuple[int, int] = (1, 1)  # of ten subject numbers; see the head of this file
    nist_tens_with_validation: int = 3  # of four tens
    sd300_below: int = 2000  # subject numbers of SD300 are smaller; NIST's documentation
    sd302_range: tuple[int, int] = (2302, 2645)  # subject numbers of SD302; NIST's documentation


DEFAULT = SplitParameters()

FVC_OF_110 = ("fvc2000", "fvc2002", "fvc2004")  # with the fingers 1-100 and 101-110
OTHERS = (  # data sets whose persons are held out whatever the settings are
    *("fvc2000", "fvc2004", "fvc2006", "socofing", "sd4", "sd14", "polyu", "molf"),
    *("neurotechnology", "printsgan", "folder"),
)


def split_of(
    impression_or_person: Impression | str,
    held_out: tuple[str, ...] = HELD_OUT,
    parameters: SplitParameters = DEFAULT,
) -> str:
    """Return the split, one of `shards.manifest.SPLITS`.

    Args:
        impression_or_person: an impression, or the name of a person such as "nist/00002303".
        held_out: groups that contribute to validation and test (see `group_of`; "fvc2002" includes
            "fvc2002/a" and "fvc2002/b"), beside OTHERS. All other persons train.
        parameters: numbers of held-out persons.

    Raises:
        ValueError: the name of the person has an unknown form.
    """
    if isinstance(impression_or_person, Impression):
        if impression_or_person.split:
            return impression_or_person.split
        return _split_person(impression_or_person.person, held_out, parameters)
    return _split_person(impression_or_person, held_out, parameters)


def group_of(person: str, parameters: SplitParameters = DEFAULT) -> str:
    """Return the group of a person by name.

    The groups are "fvc2002/a", "fvc2002/b", "synthetic", and by NIST's subject number "sd300"
    (below 2000), "sd302" (2302 to 2645) and "sd301a" (others). NIST's data sets share persons, so a
    group is not a data set: subject 2310 is held out with SD302 where SD301 has that subject too.
    Each of OTHERS is a group.

    Raises:
        ValueError: the name has an unknown form.
    """
    dataset, _, rest = person.partition("/")
    if dataset in OTHERS and rest:
        return dataset
    digits = rest.rpartition("/")[2]
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{person}: expected the name of a person to end with a number")
    number = int(digits)
    if dataset == "fvc2002" and 1 <= number <= 110:
        return "fvc2002/a" if number <= 100 else "fvc2002/b"
    if dataset == "synthetic":
        return "synthetic"
    if dataset == "nist":
        return _nist_group(number, parameters)
    raise ValueError(f"{person}: no data set has such a person")


def limit_training_images(
    selection: Mapping[str, Sequence[Impression]], spec: PipelineSpec
) -> dict[str, list[Impression]]:
    """Keep at most `spec.limits` training images in each partition of a data set.

    Persons are taken in a fixed shuffled order (by SHA-256 of their names) until the limit is
    reached; of the last person only as many images as remain. The order is the same in every
    partition, and each partition depends on its own images alone. Held-out persons are never
    dropped.

    The sum for IFViT's partitions is then its 25,090 training images: each of SD302's ten
    partitions has at least 1,789 fingers, of which 1,477 are for training on average (standard
    deviation 31), and the limit is 1,437. A delivery with fewer training fingers (about 1 in 10),
    or with persons of SD301a that are held out with SD302, gives correspondingly fewer images.

    Args:
        selection: partition → its impressions.
        spec: `limits` and `held_out` are used.

    Returns:
        Partition → the remaining impressions, in the given order.
    """
    limits = dict(spec.limits)
    return {
        partition: _limit(impressions, limits.get(partition.partition("/")[0]), spec.held_out)
        for partition, impressions in selection.items()
    }


def _nist_group(number: int, parameters: SplitParameters) -> str:
    first, last = parameters.sd302_range
    if number < parameters.sd300_below:
        return "sd300"
    return "sd302" if first <= number <= last else "sd301a"


@cache
def _split_person(person: str, held_out: tuple[str, ...], parameters: SplitParameters) -> str:
    group = group_of(person, parameters)
    if group in OTHERS:
        return _split_other(person, group, parameters)
    if not any(group == name or group.startswith(name + "/") for name in held_out):
        return "train"
    number, seed = int(person.rpartition("/")[2]), parameters.seed
    if group.startswith("fvc2002/"):
        return _split_fvc(number, parameters)
    ten, unit = divmod(number, 10)
    if group == "synthetic":
        return _cut(_rank(unit, group, ten, 10, seed), parameters.synthetic_held_out)
    test, validation = parameters.nist_held_out
    if _rank(ten % 4, "nist/tens", ten // 4, 4, seed) < 4 - parameters.nist_tens_with_validation:
        validation = 0
    return _cut(_rank(unit, "nist", ten, 10, seed), (test, validation))


def _split_fvc(number: int, parameters: SplitParameters) -> str:
    """Return the split of a finger from 1 to 110 of FVC2000, FVC2002 or FVC2004."""
    if number <= 100:
        rank = _rank(number - 1, "fvc2002/a", 0, 100, parameters.seed)
        return _cut(rank, parameters.fvc_a_held_out)
    return _cut(_rank(number - 101, "fvc2002/b", 0, 10, parameters.seed), parameters.fvc_b_held_out)


def _split_other(person: str, dataset: str, parameters: SplitParameters) -> str:
    """Return the split of a person of one of OTHERS."""
    match = re.search(r"[0-9]+$", person)
    if match is None:
        rank = int(hashlib.sha256(person.encode()).hexdigest(), 16) % 10
        return _cut(rank, parameters.other_held_out)
    number = int(match[0])
    if dataset in FVC_OF_110:
        return _split_fvc(number, parameters)
    ten, unit = divmod(number + 9, 10)  # 1 to 10 are one ten
    name = person[: match.start()]
    return _cut(_rank(unit, name, ten, 10, parameters.seed), parameters.other_held_out)


def _rank(index: int, name: str, block: int, size: int, seed: int) -> int:
    """Return the position of `index` in the fixed permutation of a block of `size` numbers."""
    order = np.random.default_rng([seed, crc32(name.encode()), block]).permutation(size)
    return int(order[index])


def _cut(rank: int, held_out: tuple[int, int]) -> str:
    """Return the split of a rank: the first ranks are for test, the next for validation."""
    test, validation = held_out
    if rank < test:
        return "test"
    return "val" if rank < test + validation else "train"


def _limit(
    impressions: Sequence[Impression], limit: int | None, held_out: tuple[str, ...]
) -> list[Impression]:
    if limit is None:
        return list(impressions)
    training = [i for i in impressions if split_of(i, held_out) == "train"]
    training.sort(key=lambda i: (hashlib.sha256(i.person.encode()).digest(), i.image_id))
    dropped = {i.image_id for i in training[limit:]}
    return [i for i in impressions if i.image_id not in dropped]
