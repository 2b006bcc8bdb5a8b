"""Layouts of synthetic sets: file names, touches, counts and headers; few with pixels."""

from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

import configs
from pipeline import plan, split
from pipeline.imaging.resolution import UnknownResolution, stated_ppi
from pipeline.sources import fvc, nist, sd300, sd301a, sd302
from pipeline.sources.folders import Folder
from pipeline.sources.listing import list_images
from pipeline.synthesis.encode import encode
from pipeline.synthesis.layouts import choose_layout
from pipeline.synthesis.nist_tables import MISLABELLED, PERSONS
from shards.foundation.errors import Misuse

READERS = {
    "fvc2002": fvc.match_folder,
    "sd300": sd300.match_folder,
    "sd301a": sd301a.match_folder,
    "sd302": sd302.match_folder,
}
COMPLETE = {  # a complete delivery: fingers and impressions
    "fvc2002": (100, 8),
    "sd300": (8880, 1),
    "sd301a": (240, 1),
    "sd302": (2000, 1),
}
COPIES = ("sd300b", "sd300c")  # the images of sd300a at other resolutions


def files_by_path(kind, fingers=80, impressions=1, seed=1):
    """Return the files of a set by path."""
    units = choose_layout(kind, "", fingers, impressions, seed).units
    files = {Path(kind, file.path): file for file in chain.from_iterable(units)}
    assert len(files) == sum(map(len, units))  # no name twice
    return files


@pytest.fixture
def read(monkeypatch):
    """Return a function that lists names without files; all headers have 500 ppi."""
    monkeypatch.setattr(nist, "stated_ppi", lambda path: 500.0)

    def listing(kind, paths):
        folders = defaultdict(list)
        for path in paths:
            folders[path.parent].append(path.name)
        return list_images([Folder(f, tuple(sorted(n))) for f, n in folders.items()], READERS[kind])

    return listing


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", READERS)
def test_reader_parses_every_name(kind, read):
    files = files_by_path(kind, impressions=2)
    listing = read(kind, files)
    assert not listing.unparsed
    parsed = [i.path for i in listing.impressions] + [n.path for n in listing.excluded]
    assert sorted(parsed) == sorted(files)


@pytest.mark.parametrize(
    ("kind", "path"),
    [  # as the publishers and the public loaders of the deliveries write them
        ("fvc2002", "DB1_B/101_1.tif"),
        ("sd300", "sd300a/images/500/png/roll/00001000_roll_500_01.png"),
        ("sd300", "sd300c/images/2000/png/plain/00001000_plain_2000_13.png"),
        (
            "sd301a",
            "sd301a/images/friction-ridge/dryrun-A/500/roll/png/00002223_01_dryrun-A_500_roll_01.png",
        ),
        ("sd302", "sd302a/images/challengers/A/roll/png/00002302_A_roll_01.png"),
        ("sd302", "sd302b/images/baseline/U/500/roll/png/00002302_U_500_roll_09.png"),
        ("sd302", "sd302b/images/baseline/R/1000/slap-segmented/png/00002302_R_1000_slap_02.png"),
        ("sd302", "sd302d/images/auxiliary/flat/M/500/plain/png/00002302_M_500_plain_04.png"),
    ],
)
def test_names_of_the_deliveries(kind, path):
    assert Path(kind, path) in files_by_path(kind, 10 if kind == "fvc2002" else 80)


def test_captures_and_finger_positions():
    """SD300's plain box has no 01 and 06 but 11 and 12; SD301a has every capture."""
    codes = {int(p.stem[-2:]) for p in files_by_path("sd300") if p.parent.name == "plain"}
    assert codes == {*range(2, 6), *range(7, 15)}
    captures = {path.parts[-3] for path in files_by_path("sd301a")}
    assert captures == {"roll", "plain", "slap", "slap-segmented", "palm", "palm-segmented"}
    resolutions = {path.parts[-4] for path in files_by_path("sd301a")}
    assert resolutions == {"500", "1000", "variable"}


def test_fingers_belong_to_persons_and_impossible_sets_are_refused():
    assert len(choose_layout("sd302", "", 11, 1, 0).units) == 2
    assert "not 3" in choose_layout("sd300", "", 10, 3, 0).remark
    for kind, fingers, impressions in (
        ("fvc2002", 10, 9),
        ("fvc2002", 101, 1),
        ("sd300", 8881, 1),
        ("sd301a", 241, 1),
        ("sd301a", 10, 100),
        ("sd302", 2001, 1),
    ):
        with pytest.raises(Misuse, match="holds at most"):
            choose_layout(kind, "", fingers, impressions, 0)


def test_nine_persons_of_sd302_have_every_erratum_and_every_split():
    persons = PERSONS["sd302"][:9]
    assert {int(person) for person, _ in sd302.ERRATA} <= set(persons)
    assert {split.split_of(f"nist/{person:08d}") for person in persons} == {"train", "val", "test"}


def test_encounters_are_different_impressions(read):
    listing = read("sd301a", files_by_path("sd301a", 10, 3))
    per_finger = Counter((i.partition, i.finger) for i in listing.impressions)
    assert set(per_finger.values()) == {3}


# --- masters and touches ---------------------------------------------------------------------


def test_one_person_has_the_same_fingers_everywhere(read):
    """After the publisher's errata every finger of a reader has one master of its own."""
    masters = defaultdict(set)
    partitions = defaultdict(set)
    for kind in ("sd300", "sd301a", "sd302"):
        files = files_by_path(kind)
        for i in read(kind, files).impressions:
            (touch,) = files[i.path].touches
            masters[i.finger].add(touch.master)
            partitions[i.finger].add(i.partition.split("/")[0])
    assert all(len(addresses) == 1 for addresses in masters.values())
    assert len({next(iter(addresses)) for addresses in masters.values()}) == len(masters)
    assert {"sd301a", "sd302"} in partitions.values()


def test_delivered_labels_are_wrong_as_in_the_errata():
    wrong = Counter()
    for path, file in files_by_path("sd302", 80).items():
        label = int(path.stem[-2:])
        if label <= 10 and file.touches[0].master != ("nist", int(path.stem[:8]) * 100 + label):
            wrong[path.stem[:10]] += 1
    assert wrong == {
        "00002302_L": 2,
        "00002361_V": 2,  # one label at two resolutions
        "00002420_R": 4,
        "00002534_S": 4,
        "00002561_S": 4,
        "00002497_C": 1,
        "00002354_C": 2,
    }
    assert {(p, f"{n:08d}") for p, n in MISLABELLED} == {
        (f"sd302/{device}", person) for person, device in sd302.ERRATA
    }


def test_resolutions_and_segments_show_one_touch():
    files = files_by_path("sd302", 10)
    stem = Path("sd302/sd302b/images/baseline/R")
    person = PERSONS["sd302"][0]
    slap = files[stem / f"500/slap/png/{person:08d}_R_500_slap_14.png"].touches
    segments = [
        files[stem / f"{ppi}/slap-segmented/png/{person:08d}_R_{ppi}_slap_{code:02d}.png"].touches
        for ppi in (500, 1000)
        for code in (10, 9, 8, 7)  # of a left hand, from left to right
    ]
    assert [(touch,) for touch in slap] == segments[:4] == segments[4:]


def test_other_seeds_lack_other_captures():
    assert set(files_by_path("sd302", 200, seed=1)) != set(files_by_path("sd302", 200, seed=2))
    assert set(files_by_path("sd302", 200, seed=1)) == set(files_by_path("sd302", 200, seed=1))


# --- counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_as_much_is_missing_as_in_the_delivery(seed):
    """13,630 of 16,000 captures of SD302a, 1,789 of 2,000 fingers by all devices of the paper."""
    paths = [p for p in files_by_path("sd302", 2000, seed=seed) if "challengers" in p.parts]
    assert len(paths) == pytest.approx(13_630, rel=0.02)
    devices = Counter(p.stem[:8] + p.stem[-2:] for p in paths if p.parts[-4] in "ABCDEF")
    assert sum(n == 6 for n in devices.values()) == pytest.approx(1789, rel=0.03)
    names = {p.name for p in paths}
    assert {"00002497_C_roll_08.png", "00002354_C_roll_04.png"} <= names


def test_a_complete_delivery_gives_the_paper_s_counts(read):
    """25,090 originals, 75,270 genuine pairs and a third as many impostors, to train on."""
    spec = configs.load().pipeline
    impressions_of = defaultdict(list)
    for kind, (fingers, impressions) in COMPLETE.items():
        files = files_by_path(kind, fingers, impressions)
        for impression in read(kind, [p for p in files if p.parts[1] not in COPIES]).impressions:
            impressions_of[impression.partition].append(impression)
    wanted = {name: impressions_of[name] for name in spec.partitions}
    chosen = split.limit_training_images(wanted, spec)
    counts = Counter()
    for shard in plan.plan_shards(chosen, spec):
        if shard.split == "train":
            counts.update(plan.count_pairs(shard, spec) | {"images": len(shard.images)})
    assert counts == {"images": 25_090, "genuine": 75_270, "impostor": 25_090}


# --- headers ---------------------------------------------------------------------------------


def test_half_of_sd300c_has_a_wrong_resolution_in_the_header(tmp_path):
    headers = Counter(f.header_ppi for p, f in files_by_path("sd300").items() if f.ppi == 2000)
    assert set(headers) == {2000, 5080}
    assert headers[5080] / headers.total() == pytest.approx(10_115 / 19_435, abs=0.1)
    path = tmp_path / "a.png"
    path.write_bytes(encode(np.zeros((8, 8), np.uint8), ".png", 5080))
    with pytest.raises(UnknownResolution, match="states 5080"):
        stated_ppi(path)


def test_challengers_have_their_resolution_in_the_header_only():
    files = {p: f for p, f in files_by_path("sd302").items() if "challengers" in p.parts}
    by_device = {p.parts[-4]: (f.ppi, f.header_ppi) for p, f in files.items()}
    assert all(ppi == header_ppi for ppi, header_ppi in by_device.values())
    assert len(set(by_device.values())) > 2
    assert not any("500" in p.name.split("_") for p in files)
