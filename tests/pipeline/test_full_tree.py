"""All four data sets on disk as delivered, from files to pairs.

Eight persons of SD302, among them every erratum, and a few persons of the other data sets. The
images are simple; their ridges encode the number of the finger, so that the identity that a reader
gives to a file can be compared with its pixels.
"""

from collections import Counter, defaultdict
from itertools import chain
from zlib import crc32

import cv2
import numpy as np
import pytest
from prints import ridges
from trees import list_files

import configs
from pipeline import plan
from pipeline.audit.audit import audit
from pipeline.audit.checksums import verify_checksums
from pipeline.building.build import BuildOptions, build
from pipeline.catalog import discover
from pipeline.imaging.file import load
from pipeline.imaging.preprocess import to_working_resolution
from pipeline.imaging.warp import IDENTITY, Warp
from pipeline.sources import sd300
from pipeline.sources.listing import PALM, RESOLUTION, SLAP
from pipeline.spec import PipelineSpec
from pipeline.split import limit_training_images
from pipeline.synthesis import write
from pipeline.synthesis.generate import SyntheticImpression
from pipeline.synthesis.write import write_set
from shards import record, store
from shards.foundation import pool

HEIGHT, WIDTH, CELL, CELLS = 192, 160, 18, 4  # px; size of the squares of a word, and number
TOP, LEFT = (HEIGHT - CELL * CELLS) // 2, (WIDTH - CELL * CELLS) // 2
PERSONS = {"sd300": 1, "sd301a": 2, "sd302": 8}
SPEC = configs.load().pipeline


def word(skin):
    """The bits [CELLS, CELLS] that encode a finger."""
    code = crc32(repr(skin).encode())
    return np.array([code >> k & 1 for k in range(CELLS**2)], bool).reshape(CELLS, CELLS)


def touch(skin, seed, partition, finger, impression, styles):
    """An image with wide ridges in the squares of its word, and a mark of the touch in a corner."""
    image = ridges(HEIGHT, WIDTH, 254)[0]
    phase = np.arange(HEIGHT)[:, None] % 9
    wide = np.kron(word(skin), np.ones((CELL, CELL), bool))
    square = np.where(phase[TOP : TOP + CELL * CELLS] < np.where(wide, 7, 2), 20, 250)
    image[TOP : TOP + CELL * CELLS, LEFT : LEFT + CELL * CELLS] = square
    mark = crc32(f"{partition} {finger} {impression}".encode())
    image[4:8, 4:12] = 247 + np.array([mark >> 3 * k & 7 for k in range(8)])
    return SyntheticImpression(image, Warp(IDENTITY), "none", {})


def read_word(impression):
    """The word in the image file of an impression."""
    image, _ = to_working_resolution(load(impression.path).stored, impression.ppi)
    square = image[TOP : TOP + CELL * CELLS, LEFT : LEFT + CELL * CELLS].astype(float)
    return square.reshape(CELLS, CELL, CELLS, CELL).mean((1, 3)) < 135


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    out = tmp_path_factory.mktemp("tree")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "cores", lambda: 1)  # no other process
        patch.setattr(write, "synthesize_master", lambda seed, *skin: skin)
        patch.setattr(write, "synthesize_impression", touch)
        for kind, persons in PERSONS.items():
            write_set(out, 10 * persons, 1, 1, layout=kind)
        write_set(out, 11, 1, 1, layout="fvc2002")
    return out


@pytest.fixture(scope="module")
def catalog(tree):
    return discover([tree])


def test_audit_counts_the_written_files(catalog, tree):
    report = audit(catalog, SPEC.partitions)
    assert report.sound
    assert not (report.missing or report.duplicates or report.odd_sizes or report.unknown_folders)
    parts = report.partitions
    assert sum(p.files for p in parts.values()) == sum(
        path.suffix in (".png", ".tif") for path in tree.rglob("*")
    )
    assert {n: parts[n].images for n in parts if n.startswith("fvc")} == {
        f"fvc2002/db{k}_a": 11 for k in (1, 2, 3, 4)
    }
    assert parts["fvc2002/db2_a"].by_ppi == {"569": 11}
    each = {f"{finger:02d}": 1 for finger in range(1, 11)}
    assert parts["sd300/roll"].by_capture == {"roll": each}
    assert parts["sd300/plain"].by_capture == {"plain": each}
    assert parts["sd300/plain"].excluded == {RESOLUTION: 20, SLAP: 6}
    assert (parts["sd301a/H"].images, parts["sd301a/H"].excluded) == (0, {PALM: 12, SLAP: 6})
    assert parts["sd301a/A"].excluded == {RESOLUTION: 20}
    assert (parts["sd301a/B"].by_ppi, parts["sd301a/E"].by_ppi) == ({"1000": 20}, {"508": 20})
    segmented = {code: 2 * n for code, n in each.items()}
    assert parts["sd301a/K"].by_capture == {"slap-segmented": segmented}
    for device in "RS":
        assert parts[f"sd302/{device}"].excluded == {RESOLUTION: 80, SLAP: 48}
        assert (parts[f"sd302/{device}"].images, parts[f"sd302/{device}"].fingers) == (80, 80)
    ring_twice = parts["sd302/V"].by_capture["roll"]
    assert (ring_twice["02"], ring_twice["04"]) == (7, 9)
    assert parts["sd302/M"].by_capture == {"plain": dict.fromkeys(each, 8)}
    assert (parts["sd302/F"].by_ppi.keys(), parts["sd302/H"].by_ppi.keys()) == ({"600"}, {"1000"})


def test_every_erratum_is_applied(catalog):
    errata = Counter((note.path.name[:10], note.reason) for note in catalog.notes("errata"))
    assert errata == {
        ("00002302_L", "thumbs swapped"): 2,
        ("00002361_V", "right ring labelled right index"): 2,
        ("00002420_R", "segments 1 and 6 swapped"): 4,
        ("00002534_S", "thumbs swapped"): 4,
        ("00002561_S", "thumbs swapped"): 4,
        ("00002497_C", "finger 08 unusable"): 1,
        ("00002354_C", "fingers 04 and 05 doubtful"): 2,
    }


def test_identity_agrees_with_the_pixels(catalog):
    """Every finger has one word on all devices, and no two fingers have the same word."""
    words, datasets = defaultdict(set), defaultdict(set)
    for impression in chain.from_iterable(catalog.partitions.values()):
        words[impression.finger].add(read_word(impression).tobytes())
        datasets[impression.finger].add(impression.partition.split("/")[0])
    assert {finger for finger, values in words.items() if len(values) > 1} == set()
    assert len(set(chain.from_iterable(words.values()))) == len(words) == 44 + 10 + 80
    shared = [finger for finger, names in datasets.items() if names == {"sd301a", "sd302"}]
    assert len(shared) == 20


def test_without_errata_fingers_are_mixed(catalog):
    """The delivered labels are wrong: the test above can fail."""
    by_label = defaultdict(set)
    for i in chain.from_iterable(catalog.partitions.values()):
        if i.partition.startswith("sd302"):
            label = f"{i.person}/{i.path.stem[-2:]}"
            by_label[label].add(read_word(i).tobytes())
    mixed = {label for label, values in by_label.items() if len(values) > 1}
    assert mixed == {
        *(
            f"nist/{person:08d}/{code}"
            for person in (2302, 2420, 2534, 2561)
            for code in ("01", "06")
        ),
        "nist/00002361/02",
    }


def test_resolutions_of_a_capture_show_the_same_image(tree):
    stem = tree / "sd302/sd302b/images/baseline"
    for capture, name in (("roll", "U_{}_roll_03"), ("slap", "R_{}_slap_13")):
        coarse, fine = (
            load(stem / f"{name[0]}/{ppi}/{capture}/png/00002302_{name.format(ppi)}.png").stored
            for ppi in (500, 1000)
        )
        assert fine.shape == (2 * coarse.shape[0], 2 * coarse.shape[1])
        back, _ = to_working_resolution(fine, 1000)
        assert np.abs(back.astype(float) - coarse).mean() < 8


def test_segments_are_cut_from_the_slap(tree):
    folder = tree / "sd302/sd302b/images/baseline/S/500"
    for code in ("02", "03", "04", "05"):
        slap = load(folder / "slap/png/00002302_S_500_slap_13.png").stored
        segment = load(folder / f"slap-segmented/png/00002302_S_500_slap_{code}.png").stored
        match = cv2.matchTemplate(slap, segment, cv2.TM_SQDIFF)
        y, x = np.unravel_index(match.argmin(), match.shape)
        assert np.array_equal(slap[y : y + HEIGHT, x : x + WIDTH], segment)


def test_each_release_of_sd300_is_read_at_its_true_resolution(tree):
    for release, ppi in (("a", 500), ("b", 1000), ("c", 2000)):
        listing = list_files(sd300, tree / f"sd300/sd300{release}")
        assert {i.ppi for i in listing.impressions} == {ppi}
        assert len(listing.impressions) == 20


def test_checksums_are_sound_and_a_flipped_byte_is_named(catalog):
    folders = [path for listing in catalog.listings.values() for path in listing.folders]
    nist = [folder for folder in folders if "fvc2002" not in folder.parts]
    sound = verify_checksums(nist, catalog.roots)
    assert (sound.unlisted, sound.faults) == (0, [])
    assert sound.matched == 66 + 328 + sum(1 for _ in catalog.roots[0].glob("sd302/**/*.png"))
    victim = (
        next(folder for folder in folders if "M" in folder.parts) / "00002302_M_500_plain_04.png"
    )
    data = victim.read_bytes()
    try:
        victim.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
        faults = verify_checksums([victim.parent], catalog.roots).faults
    finally:
        victim.write_bytes(data)
    assert len(faults) == 1 and str(victim) in faults[0]


def test_partitions_of_the_paper_have_three_genuine_pairs_in_four(catalog):
    chosen = limit_training_images(catalog.select(SPEC.partitions), SPEC)
    counts = Counter()
    for shard in plan.plan_shards(chosen, SPEC):
        counts.update(plan.count_pairs(shard, SPEC) | {"images": len(shard.images)})
    images = sum(map(len, chosen.values()))
    assert counts["images"] == images
    assert counts["genuine"] == 3 * images == pytest.approx(3 * counts["impostor"], rel=0.01)


def test_built_pairs_hold_four_versions_of_each_image(catalog, tmp_path):
    """Each image forms three pairs with its degraded versions and one with another finger."""
    spec = PipelineSpec(pairs_per_shard=100, held_out=("sd302",))
    names = ("sd301a/B", "sd301a/C", "sd302/M", "fvc2002/db2_a")
    chosen = {name: images[:20] for name, images in catalog.select(names).items()}
    build(spec, chosen, tmp_path, BuildOptions(workers=1))
    shards = store.open_set(tmp_path)
    pairs = [
        record.decode(data)
        for split in ("train", "val", "test")
        for data in shards.read(split, range(shards.count(split)))
    ]
    genuine = Counter((p.image_id_a, p.noise) for p in pairs if p.genuine)
    images = [i.image_id for i in chain.from_iterable(chosen.values())]
    assert genuine == Counter((i, n) for i in images for n in plan.DEGRADATIONS)
    impostors = [p for p in pairs if not p.genuine]
    assert 3 * len(impostors) == len(genuine)
    assert all(p.finger_a != p.finger_b for p in impostors)
