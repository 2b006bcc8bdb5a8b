"""Readers of published data sets with a name pattern each."""

import pytest
import trees
from trees import list_files

from pipeline import catalog
from pipeline.sources import published
from pipeline.split import split_of
from shards.record import person_of_finger

CASES = [  # path, partition, person, finger, ppi, FRGP
    ("SOCOFing/Real/100__M_Left_index_finger.BMP", "socofing/real", "100", "100/07", 500, 7),
    ("any/7__F_Right_thumb_finger.png", "socofing/real", "7", "7/01", 500, 1),
    ("molf/DB1_Lumidgm/100_1_10.wsq", "molf/db1", "100", "100/10", 500, None),
    ("DB2_Secugen/png/3_4_01.png", "molf/db2", "3", "3/01", 500, None),
    ("DB3_A_CrossMatchCropped/9_1_2_3.png", "molf/db3_a", "9", "9/slap2-3", 500, None),
    (
        "contact-based_fingerprints/first_session/24_6.jpg",
        "polyu/contact_first",
        "24",
        "24",
        512,
        None,
    ),
    (
        "Contact-based fingerprints/second_session/1_1.tif",
        "polyu/contact_second",
        "1",
        "1",
        512,
        None,
    ),
    ("CrossMatch_Sample_DB/012_3_1.tif", "neurotechnology/crossmatch", "012", "012/03", 500, None),
    ("UareU_sample_DB/012_10_8.tif", "neurotechnology/uareu", "012", "012/10", 512, None),
    ("PrintsGAN/17/3.png", "printsgan/all", "17", "17", 500, None),
    ("printsgan_train/000017/a_b.png", "printsgan/all", "000017", "000017", 500, None),
    ("sd14/F0000010.WSQ", "sd14/all", "0001", "0001/0000010", 500, None),
    ("sd14/s0000011.png", "sd14/all", "0002", "0002/0000011", 500, None),
]


@pytest.mark.parametrize("path, partition, person, finger, ppi, frgp", CASES)
def test_identity_and_resolution(tmp_path, path, partition, person, finger, ppi, frgp):
    trees.png(tmp_path / path, 96)
    data_sets = catalog.discover([tmp_path])
    assert list(data_sets.partitions) == [partition]
    (impression,) = data_sets.partitions[partition]
    prefix = partition.partition("/")[0]
    assert (impression.person, impression.finger) == (f"{prefix}/{person}", f"{prefix}/{finger}")
    assert person_of_finger(impression.finger) == impression.person
    assert (impression.ppi, impression.frgp) == (ppi, frgp)
    assert split_of(impression) in ("train", "val", "test")


def test_first_and_second_print_of_sd4_are_one_finger(tmp_path):
    for name in ("f0001_01", "s0001_01", "f0002_07", "s0002_07", "f0003_11"):
        trees.png(tmp_path / f"sd04/png_txt/figs_0/{name}.png")
        (tmp_path / f"sd04/png_txt/figs_0/{name}.txt").write_text("Gender: M\n")
    listing = list_files(published, tmp_path)
    fingers = [(i.image_id, i.finger, i.frgp) for i in listing.impressions]
    assert fingers == [
        ("sd4/all/f0001_01", "sd4/0001", 1),
        ("sd4/all/f0002_07", "sd4/0002", 7),
        ("sd4/all/s0001_01", "sd4/0001", 1),
        ("sd4/all/s0002_07", "sd4/0002", 7),
    ]
    assert [note.path.stem for note in listing.unparsed] == ["f0003_11"]


def test_names_with_s_alone_are_not_sd4(tmp_path):
    """s0001_01.png may be the first image of somebody's subject 1."""
    trees.png(tmp_path / "lab/s0001_01.png")
    assert not list_files(published, tmp_path).folders


def test_altered_copies_of_socofing_are_no_impressions(tmp_path):
    trees.png(tmp_path / "Real/1__M_Left_index_finger.BMP")
    for level in ("Easy", "Hard"):
        for change in ("CR", "Obl", "Zcut"):
            trees.png(tmp_path / f"Altered/Altered-{level}/1__M_Left_index_finger_{change}.BMP")
    listing = list_files(published, tmp_path)
    assert len(listing.impressions) == 1
    assert trees.count_reasons(listing.excluded) == {published.ALTERED: 6}


def test_contactless_photographs_of_polyu_are_not_used(tmp_path):
    for folder in ("contactless_2d", "processed_contactless_2d"):
        trees.png(tmp_path / f"{folder}_fingerprint_images/first_session/p24/p1.bmp")
    listing = list_files(published, tmp_path)
    assert trees.count_reasons(listing.excluded) == {published.CONTACTLESS: 2}


def test_sensors_of_molf_share_persons_and_splits(tmp_path):
    for subject in range(1, 101):
        trees.png(tmp_path / f"DB1_Lumidgm/{subject}_1_1.png")
        trees.png(tmp_path / f"DB3_A_CrossMatchCropped/{subject}_1_1_1.png")
    splits = {}
    for impression in list_files(published, tmp_path).impressions:
        splits.setdefault(impression.person, set()).add(split_of(impression))
    assert len(splits) == 100
    assert all(len(of_person) == 1 for of_person in splits.values())
    assert sum(of_person == {"test"} for of_person in splits.values()) == 10


@pytest.mark.parametrize(
    "path",
    [
        "SOCOFing/Real/1__M_Left_index_finger copy.BMP",
        "DB1_Lumidgm/1_1.png",
        "DB2_Secugen/1_1_11.png",
        "CrossMatch_Sample_DB/12_1_1.tif",
    ],
)
def test_other_names_are_listed(tmp_path, path):
    trees.png(tmp_path / path)
    trees.png(tmp_path / "SOCOFing/Real/1__M_Left_ring_finger.BMP")
    listing = list_files(published, tmp_path)
    assert [note.path for note in listing.unparsed] == [tmp_path / path]
    assert "such as" in listing.unparsed[0].reason or "no finger" in listing.unparsed[0].reason
