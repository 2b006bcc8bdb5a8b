"""Split: every person is in one split whatever is on disk; the numbers of the paper add up."""

import itertools
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st

import configs
from pipeline import catalog, plan
from pipeline.impression import Impression
from pipeline.spec import HELD_OUT, PipelineSpec
from pipeline.split import group_of, limit_training_images, split_of

PAPER = configs.load().pipeline
NIST = [f"nist/{number:08d}" for number in range(2302, 2646)]


def impression(partition, person, finger):
    image_id = f"{partition}/{person[-8:].replace('/', '-')}_{finger:02d}"
    return Impression(Path(image_id), image_id, partition, person, f"{person}/{finger:02d}", 500)


def test_fvc_a_sets_hold_out_ten_and_ten_and_b_sets_two_and_two():
    for database in range(1, 5):
        of = {n: split_of(f"fvc2002/db{database}/{n}") for n in range(1, 111)}
        assert Counter(of[n] for n in range(1, 101)) == {"train": 80, "val": 10, "test": 10}
        assert Counter(of[n] for n in range(101, 111)) == {"train": 6, "val": 2, "test": 2}


def test_split_never_changes():
    """Change these numbers only if all published results may change."""
    splits = {n: split_of(f"fvc2002/db1/{n}") for n in range(101, 111)}
    assert {n for n, s in splits.items() if s == "test"} == {103, 105}
    assert {n for n, s in splits.items() if s == "val"} == {104, 106}
    assert [n[-4:] for n in NIST if split_of(n) == "test"][:5] == [
        "2308",
        "2317",
        "2326",
        "2339",
        "2349",
    ]


def test_synthetic_holds_out_one_and_one_of_every_ten():
    for block in range(0, 200, 10):
        of = Counter(split_of(f"synthetic/x/{n:05d}") for n in range(block, block + 10))
        assert of == {"train": 8, "val": 1, "test": 1}


def test_nist_holds_out_ten_and_seven_and_a_half_percent_of_numbers():
    of = Counter(split_of(person) for person in NIST)
    assert of == {"train": 284, "val": 26, "test": 34}
    assert Counter(split_of(f"nist/{n:08d}") for n in range(2320, 2640)) == {
        "train": 264,
        "val": 24,
        "test": 32,
    }


def test_two_hundred_scattered_subjects_give_about_twenty_and_fifteen():
    counts = []
    for seed in range(200):
        persons = random.Random(seed).sample(NIST, 200)
        counts.append(Counter(map(split_of, persons)))
    mean = {side: sum(c[side] for c in counts) / len(counts) for side in ("test", "val")}
    assert mean["test"] == pytest.approx(20, abs=1)
    assert mean["val"] == pytest.approx(15, abs=1)
    assert all(abs(c["test"] - 20) <= 10 and abs(c["val"] - 15) <= 10 for c in counts)


@given(st.sampled_from(["sd300", "sd301a", "sd302"]), st.integers(0, 99_999_999))
def test_a_person_has_one_split_in_every_data_set(dataset, number):
    """The split depends on the name alone, not on data set, device or finger."""
    person = f"nist/{number:08d}"
    for held_out in (HELD_OUT, PAPER.held_out):
        sides = {
            split_of(impression(f"{dataset}/{device}", person, finger), held_out)
            for device in "AU"
            for finger in (1, 10)
        }
        assert sides == {split_of(person, held_out)}


def test_groups():
    assert group_of("fvc2002/db3/100") == "fvc2002/a"
    assert group_of("fvc2002/db3/101") == "fvc2002/b"
    assert group_of("nist/00001000") == "sd300"
    assert group_of("nist/00002239") == "sd301a"
    assert group_of("nist/00002302") == group_of("nist/00002645") == "sd302"
    assert group_of("synthetic/any/00000") == "synthetic"


@pytest.mark.parametrize("person", ["", "nist/", "nist/x", "fvc2002/db1/111", "casia/1", "nist/²"])
def test_unknown_persons_are_refused(person):
    with pytest.raises(ValueError, match=r"person|number"):
        split_of(person)


def test_fvc_of_other_years_is_split_as_fvc2002():
    for number in range(1, 111):
        splits = {split_of(f"fvc{year}/db1/{number}") for year in (2000, 2002, 2004)}
        assert len(splits) == 1
    assert split_of("fvc2004/db1/1", ()) == split_of("fvc2004/db1/1")


@pytest.mark.parametrize(
    "name", ["folder/lab/{}", "folder/lab/p{:03d}", "molf/{}", "fvc2006/db1/{}"]
)
def test_one_of_ten_consecutive_numbers_tests_whatever_is_held_out(name):
    for held_out in (HELD_OUT, PAPER.held_out, ()):
        for first in (1, 11, 101, 20241111001):
            of = Counter(split_of(name.format(n), held_out) for n in range(first, first + 10))
            assert of == {"test": 1, "val": 1, "train": 8}


def test_names_without_numbers_are_split_one_in_ten():
    names = [
        f"folder/lab/{a}{b}{c}" for a in "abcdefghij" for b in "klmnopqrst" for c in "uvwxyz_-"
    ]
    of = Counter(map(split_of, names))
    assert 50 < of["test"] < 110 and 50 < of["val"] < 110
    assert split_of("folder/lab/ann") == "train"


def test_a_stated_split_decides():
    own = replace(impression("folder/lab", "folder/lab/3", 1), split="val")
    assert split_of(own) == split_of(own, ()) == "val"


def test_held_out_names_whole_or_part_groups():
    test_a = next(n for n in range(1, 101) if split_of(f"fvc2002/db1/{n}") == "test")
    person = f"fvc2002/db1/{test_a}"
    assert split_of(person, ("fvc2002/a",)) == split_of(person, ("fvc2002",)) == "test"
    assert split_of(person, ("fvc2002/b", "sd302")) == "train"


@pytest.mark.parametrize("wrong", [{"held_out": ("sd30",)}, {"limits": (("sd30", 1),)}])
def test_a_spec_refuses_groups_that_do_not_exist(wrong):
    with pytest.raises(ValueError, match="sd30"):
        PipelineSpec(**wrong)


def test_every_person_is_in_one_split_in_any_combination_of_partitions(tmp_path):
    """The same split, file by file, whichever data sets and partitions are on the disk."""
    trees.sd302(tmp_path / "302a", range(2302, 2322), "A", codes=[1])
    trees.sd302(tmp_path / "302b", range(2302, 2322), "U", codes=[1])
    trees.sd302(tmp_path / "302d", range(2302, 2322), "M", codes=[1])
    trees.sd301a(tmp_path / "301", range(2312, 2317), "A")
    trees.fvc2002(tmp_path / "fvc", "DB1_B", range(101, 111))
    sets = sorted(tmp_path.iterdir())
    reference = None
    for count in range(len(sets), 0, -1):
        for present in itertools.combinations(sets, count):
            images = itertools.chain.from_iterable(catalog.discover(present).partitions.values())
            sides = {}
            for item in images:
                sides.setdefault(item.person, set()).add(split_of(item))
            assert all(len(side) == 1 for side in sides.values())
            reference = reference or sides
            assert sides.items() <= reference.items()
    assert {"train", "val", "test"} == set().union(*reference.values())


def delivery(seed=0):
    """The names of a complete delivery; `seed` chooses SD302's 200 subject numbers."""
    subjects = random.Random(seed).sample(NIST, 200)
    selection = {p: [] for p in PAPER.partitions}
    for partition, impressions in selection.items():
        dataset, _, name = partition.partition("/")
        if dataset == "fvc2002":
            database = f"fvc2002/{name[:3]}"
            impressions += [
                Impression(Path("x"), f"{partition}/{f}_{k}", partition, f"{database}/{f}", "", 500)
                for f in range(1, 101)
                for k in range(1, 9)
            ]
            continue
        persons = {
            "sd300": [f"nist/{n:08d}" for n in range(1000, 1888)],
            "sd301a": [f"nist/{n:08d}" for n in range(2223, 2247)],
            "sd302": subjects,
        }[dataset]
        impressions += [impression(partition, p, f) for p in persons for f in range(1, 11)]
    return selection


def some(delivery):
    """The first images of each partition, and in SD301a one person of SD302 that is held out."""
    few = {name: sorted(images, key=repr)[:160] for name, images in delivery.items()}
    shared = next(i.person for i in few["sd302/A"] if split_of(i, PAPER.held_out) == "test")
    few["sd301a/A"] += [impression("sd301a/A", shared, finger) for finger in range(1, 11)]
    return few


FEW = some(delivery())
ALL = plan.plan_shards(limit_training_images(FEW, PAPER), PAPER)


def test_training_images_of_the_paper():
    chosen = limit_training_images(delivery(), PAPER)
    training = Counter()
    for partition, impressions in chosen.items():
        for item in impressions:
            if split_of(item, PAPER.held_out) == "train":
                training[partition.partition("/")[0]] += 1
    assert training == {"fvc2002": 2400, "sd301a": 1920, "sd302": 14370, "sd300": 6400}
    assert training.total() == 25_090
    held_out = {i.person for i in chosen["sd302/A"] if split_of(i, PAPER.held_out) != "train"}
    assert 25 <= len(held_out) <= 45


def test_limits_keep_the_same_persons_in_every_partition():
    chosen = limit_training_images(delivery(), PAPER)
    counts = Counter(i.person for i in chosen["sd300/roll"])
    assert list(counts.values()) == [10] * 320
    assert set(counts) == {i.person for i in chosen["sd300/plain"]}


def test_limits_depend_on_the_partition_alone():
    complete = delivery()
    alone = limit_training_images({"sd302/U": complete["sd302/U"]}, PAPER)["sd302/U"]
    shuffled = complete["sd302/U"][::-1]
    assert alone == limit_training_images(complete, PAPER)["sd302/U"]
    assert sorted(alone, key=repr) == sorted(
        limit_training_images({"sd302/U": shuffled}, PAPER)["sd302/U"], key=repr
    )


def test_no_limits_by_default():
    selection = {"sd300/roll": delivery()["sd300/roll"]}
    assert limit_training_images(selection, PipelineSpec()) == selection


@given(st.sets(st.sampled_from(PAPER.partitions), min_size=1))
def test_any_choice_of_partitions_gives_the_same_shards_of_them(partitions):
    """Every person is in one split, and a partition's shards do not depend on the others."""
    chosen = {name: few for name, few in FEW.items() if name in partitions}
    shards = plan.plan_shards(limit_training_images(chosen, PAPER), PAPER)
    assert shards == [shard for shard in ALL if shard.partition in partitions]
    sides = {}
    for shard in shards:
        for image in shard.images:
            sides.setdefault(image.person, set()).add(shard.split)
    assert all(len(splits) == 1 for splits in sides.values())


def test_selection_has_every_split_and_a_person_in_two_data_sets():
    assert {shard.split for shard in ALL} == {"train", "val", "test"}
    people = {
        dataset: {i.person for name, few in FEW.items() if dataset in name for i in few}
        for dataset in ("sd301a", "sd302")
    }
    assert people["sd301a"] & people["sd302"]
