"""Names of published data sets that state two different fingers; all others state nothing."""

from pathlib import Path

import pytest

from model.registration.finger_names import describe_difference, summarize_differences


@pytest.mark.parametrize(
    ("a", "b", "fingers"),
    [
        ("101_1.tif", "other/102_3.png", "FVC: 101 and 102"),
        ("00002303_A_roll_01.png", "00002303_B_roll_02.png", "NIST: 00002303 01 and 00002303 02"),
        ("00002303_roll_500_01.png", "00002304_roll_500_01.png", "00002303 01 and 00002304 01"),
        ("00002303_plain_500_12.png", "00002303_roll_500_07.png", "00002303 06 and 00002303 07"),
        (
            "1__M_Left_index_finger.BMP",
            "1__M_Left_thumb_finger_CR.BMP",
            "SOCOFing: 1 left index and 1 left thumb",
        ),
        ("1__M_Left_index_finger.BMP", "1__M_Right_index_finger.BMP", "1 left index and 1 right"),
        # 11 and 12 are codes of thumbs in names of NIST alone
        ("11_1.tif", "12_1.tif", "FVC: 11 and 12"),
        ("11_1.tif", "01_1.tif", "FVC: 11 and 01"),
        ("11__M_Left_index_finger.BMP", "01__M_Left_index_finger.BMP", "11 left index and 01"),
    ],
)
def test_two_fingers_are_named(a, b, fingers):
    difference = describe_difference(Path(a), Path(b))
    assert fingers in difference
    assert Path(a).name in difference and Path(b).name in difference


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("101_1.tif", "101_2.tif"),
        ("101_1.tif", "two.tif"),
        ("101_1.tif", "00002303_A_roll_01.png"),
        ("one.png", "two.png"),
        ("20240101_1.png", "20240102_1.png"),
        ("scan_101_1.png", "scan_102_1.png"),
        ("00002303_roll_500_01.png", "00002303_plain_500_11.png"),  # the right thumb twice
        ("00002303_slap_500_13.png", "00002303_slap_500_14.png"),  # slaps
        ("1__M_Left_index_finger.BMP", "1__M_Left_index_finger_Zcut.BMP"),
    ],
)
def test_one_finger_and_other_names_state_nothing(a, b):
    assert describe_difference(Path(a), Path(b)) is None


def test_the_rows_of_a_table_are_summarized():
    one, two, other = Path("101_1.tif"), Path("101_2.tif"), Path("102_1.tif")
    assert summarize_differences([(one, two), (one, Path("x.png"))]) is None
    text = summarize_differences([(one, two), (two, other), (one, other)])
    assert text.startswith("2 of 3 rows pair different fingers by their names; the first: ")
    assert text.endswith(
        "101_2.tif and 102_1.tif state two fingers, if they are named as in FVC: 101 and 102"
    )
