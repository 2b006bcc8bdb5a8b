"""Which persons train, and which are held out for validation and for the test.

The split of a person is a pure function of the person's name: it knows nothing of the disk, of the
order of files, of the partitions that are present or of the device. So no person is ever on two
sides, in whatever combination and however often a shard set is built.

FVC2002      By finger, as persons are not known: of fingers 1-100 ten test and ten validate, of
             fingers 101-110 two and two, by fixed permutations. The same numbers in all four
             databases, which is safe even if some finger was recorded in two of them.
synthetic    By finger number: of every ten consecutive numbers one tests and one validates, so
             that adding fingers moves none.
NIST         By whole person, in one namespace for SD300, SD301 and SD302, by subject number: of
             every ten consecutive numbers one tests, and one validates in three tens of every
             four. That is 10 % and 7.5 %, the 20 and 15 of 200 persons into which the paper's 200
             test and 152 validation fingers of SD302 translate.

The honest consequence: NIST's list of SD302's 200 subjects is part of the delivery and unknown
here; they lie scattered over the 344 numbers 2302-2645, of which 34 test and 26 validate. How many
of those exist is hypergeometric: 19.8 and 15.1 on average, with deviations of 2.7 and 2.5. A rule
that does not look at the disk cannot do better; the audit prints what it is for a delivery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from zlib import crc32

import numpy as np

from pipeline.impression import Impression
from pipeline.spec import HELD_OUT, PipelineSpec

SEED = 6  # the first that holds out 34 and 26 of SD302's range; another would be another split
SPLITS = ("train", "val", "test")


def split_of(of: Impression | str, held_out: tuple[str, ...] = HELD_OUT) -> str:
    """One of SPLITS for an impression or the name of a person.

    `held_out` names the groups that persons are held out from (see `group_of`; "fvc2002" covers
    "fvc2002/a" and "fvc2002/b"); everyone else trains. ValueError for an unknown form of name.
    """
    return _split_of(of if isinstance(of, str) else of.person, held_out)


@cache
def _split_of(person: str, held_out: tuple[str, ...]) -> str:
    group = group_of(person)
    if not any(group == name or group.startswith(name + "/") for name in held_out):
        return "train"
    number = int(person.rpartition("/")[2])
    if group == "fvc2002/a":
        return _cut(_place(number - 1, group, 0, 100), 10, 10)
    if group == "fvc2002/b":
        return _cut(_place(number - 101, group, 0, 10), 2, 2)
    ten, unit = divmod(number, 10)
    dataset = person.partition("/")[0]
    validates = dataset == "synthetic" or _place(ten % 4, "nist/tens", ten // 4, 4) > 0
    return _cut(_place(unit, dataset, ten, 10), 1, int(validates))


def group_of(person: str) -> str:
    """The group of persons that `person` belongs to, by name alone; ValueError if there is none.

    "fvc2002/a", "fvc2002/b", "synthetic", and for NIST by subject number: "sd300" below 2000,
    "sd302" from 2302 to 2645, "sd301a" for the others. Data sets share persons, so a group is not
    a data set: a subject of SD301 numbered 2310 is one of SD302's and is held out with them.
    """
    dataset, _, rest = person.partition("/")
    digits = rest.rpartition("/")[2]
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{person}: the name of a person ends in a number")
    number = int(digits)
    if dataset == "fvc2002" and 1 <= number <= 110:
        return "fvc2002/a" if number <= 100 else "fvc2002/b"
    if dataset == "synthetic":
        return "synthetic"
    if dataset == "nist":
        return "sd300" if number < 2000 else "sd302" if 2302 <= number <= 2645 else "sd301a"
    raise ValueError(f"{person}: no data set has such a person")


def limited(
    selection: Mapping[str, Sequence[Impression]], spec: PipelineSpec
) -> dict[str, list[Impression]]:
    """The selection with at most `spec.limits` training images in each partition of a data set.

    Persons are taken in a fixed shuffled order (by SHA-256 of the name) until the limit is
    reached, of the last one as many images as still fit; so the same persons come first in every
    partition, and each partition depends on its own images alone. Held-out persons are all kept.

    So the paper's 25,090 close: each of SD302's ten partitions holds at least the 1,789 fingers
    that are in all ten; without the held-out persons that leaves 1,477 on average, with a
    deviation of 31, and the limit takes 1,437 of them. Where a delivery's subjects fall so that
    fewer are left (1 draw in 10 if a partition held no more than those 1,789), or where SD301a's
    persons carry numbers of SD302's held-out ones, the total is smaller by as many images.
    """
    limits = dict(spec.limits)
    return {
        partition: _limited(impressions, limits.get(partition.partition("/")[0]), spec.held_out)
        for partition, impressions in selection.items()
    }


def _limited(
    impressions: Sequence[Impression], limit: int | None, held_out: tuple[str, ...]
) -> list[Impression]:
    training = [i for i in impressions if split_of(i, held_out) == "train"]
    training.sort(key=lambda i: (hashlib.sha256(i.person.encode()).digest(), i.image_id))
    dropped = {i.image_id for i in training[limit:]} if limit is not None else set()
    return [i for i in impressions if i.image_id not in dropped]


def _place(index: int, group: str, block: int, size: int) -> int:
    """Where `index` of a block of `size` stands in the block's fixed random order."""
    order = np.random.default_rng([SEED, crc32(group.encode()), block]).permutation(size)
    return int(order[index])


def _cut(place: int, testing: int, validating: int) -> str:
    return "test" if place < testing else "val" if place < testing + validating else "train"
