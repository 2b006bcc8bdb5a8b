"""Maps of another tool: where they are looked for, and what is refused."""

import numpy as np
import pytest

from shards.foundation.errors import Fault, Misuse
from train.evaluation.benchmark import map_folder

SHAPE = (20, 30)


def write(path, shape=SHAPE, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    np.savez(path, **{"map_ab": np.stack([x + 2, y], -1), "score": np.float32(0.5)} | arrays)


def test_maps_by_the_names_of_the_images(tmp_path):
    write(tmp_path / "S" / "1_1__1_2.npz")
    maps = map_folder.find(tmp_path, "S", only_set=False)
    result = maps.register("1_1.tif", "1_2.tif", SHAPE)
    assert result.score == 0.5
    np.testing.assert_allclose(result.point_map(np.array([[3.0, 4.0]])), [[5, 4]])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pairs.csv", "a,b\n/x/2_1.tif,/x/2_2.tif\n/x/1_1.tif,/x/1_2.tif\n"),
        ("scores.csv", "row,a,b,score\n1,1_1.tif,1_2.tif,0.5\n"),
    ],
)
def test_maps_by_the_rows_of_a_table(tmp_path, name, text):
    write(tmp_path / "000001.npz")
    (tmp_path / name).write_text(text)
    maps = map_folder.find(tmp_path, "S", only_set=True)
    assert maps.register("1_1.tif", "1_2.tif", SHAPE).score == 0.5
    with pytest.raises(Fault, match=r"no row with a = 1_1\.tif and b = 3_1\.tif"):
        maps.register("1_1.tif", "3_1.tif", SHAPE)


def test_a_set_without_maps_is_reported(tmp_path):
    with pytest.raises(Misuse, match="expected the maps of the set S here"):
        map_folder.find(tmp_path, "S", only_set=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1_1.tif,1_2.tif\nx/1_1.tif,x/1_2.tif\n", "occurs twice"),
        ("row,a,b\n-1,1_1.tif,1_2.tif\n", "expected a number"),
        ("first,second\n1,2\n", "expected the columns a,b"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, message):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(Misuse, match=message):
        map_folder.find(tmp_path, "S", only_set=True)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"map_ab": np.zeros((5, 5, 2), np.float32)}, r"expected \[20, 30, 2\]"),
        ({"map_ab": np.zeros((20, 30), np.float32)}, r"map_ab is \[20, 30\]; expected \[H, W, 2\]"),
        ({"map_ab": np.zeros((20, 30, 2), complex)}, "map_ab is complex128; expected real numbers"),
        ({"score": np.float64("nan")}, r"expected a number within ±1e\+30"),
        ({"score": 1e308}, r"expected a number within ±1e\+30"),
        ({"score": np.zeros(3)}, r"score is \[3\]; expected one number"),
        ({"score": np.array("0.5")}, "score is"),
        ({"score": np.array([{}], object)}, "cannot be read"),
    ],
)
def test_a_map_that_is_none_of_the_pair_is_refused(tmp_path, arrays, message):
    write(tmp_path / "1_1__1_2.npz", **arrays)
    maps = map_folder.find(tmp_path, "S", only_set=True)
    with pytest.raises(Fault, match=message):
        maps.register("1_1.tif", "1_2.tif", SHAPE)


@pytest.mark.parametrize("score", [7, True, np.array([0.5]), np.float16(3)])
def test_numbers_of_any_type_are_read(tmp_path, score):
    write(tmp_path / "1_1__1_2.npz", score=score, map_ab=np.ones((*SHAPE, 2), int))
    result = map_folder.find(tmp_path, "S", only_set=True).register("1_1.tif", "1_2.tif", SHAPE)
    assert result.score == float(np.squeeze(score))
    np.testing.assert_array_equal(result.point_map(np.array([[3.0, 4.0]])), [[1, 1]])


def test_a_map_by_names_needs_no_row_of_the_table(tmp_path):
    """As where the list of pairs was copied beside it."""
    (tmp_path / "pairs.csv").write_text("a,b\n1_1.tif,1_3.tif\n")
    write(tmp_path / "1_1__1_2.npz")
    maps = map_folder.find(tmp_path, "S", only_set=True)
    assert maps.path("1_1.tif", "1_2.tif").name == "1_1__1_2.npz"
    assert maps.path("1_1.tif", "1_3.tif").name == "000000.npz"
    with pytest.raises(Fault, match=r"holds no 1_1__1_4\.npz, and its table no row"):
        maps.path("1_1.tif", "1_4.tif")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + bytes(100), None])
def test_a_damaged_or_missing_map_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "1_1__1_2.npz").write_bytes(content)
    maps = map_folder.find(tmp_path, "S", only_set=True)
    with pytest.raises(Fault, match=r"1_1__1_2\.npz"):
        maps.register("1_1.tif", "1_2.tif", SHAPE)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e38, -3e5])
def test_a_position_that_is_in_no_image_is_none(tmp_path, value):
    map_ab = np.full((*SHAPE, 2), 5, np.float32)
    map_ab[3, 4, 1] = value
    write(tmp_path / "1_1__1_2.npz", map_ab=map_ab)
    maps = map_folder.find(tmp_path, "S", only_set=True)
    mapped = maps.register("1_1.tif", "1_2.tif", SHAPE).point_map(np.array([[4.0, 3], [9, 9]]))
    assert np.isnan(mapped[0]).all()
    np.testing.assert_array_equal(mapped[1], [5, 5])
