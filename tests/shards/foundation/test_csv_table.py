"""CSV tables of users: read, or refused with the line, the column and what to do."""

import pytest

from shards.foundation.csv_table import read_table
from shards.foundation.errors import Misuse


def read(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_table(path, ("a", "b"), ("ppi_a", "ppi_b"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.csv"


def test_rows_have_their_lines_and_known_columns(path):
    table = read(path, 'note,b,a,ppi_a\n\nn,"y,\n1",x,500\nn,z,é,\n')
    assert [tuple(row) for row in table.rows] == [
        (4, {"a": "x", "b": "y,\n1", "ppi_a": "500"}),
        (5, {"a": "é", "b": "z", "ppi_a": ""}),
    ]
    assert table.ignored == ["note"]


@pytest.mark.parametrize(
    "data",
    [
        "a,b\nx,y\n,\n\n",  # Excel's last row
        "a,b\n,\nx,y\n , \n",
        "a,b,,\nx,y,,\n,,,\n",  # empty columns
        "\ufeffa,b\r\nx,y\r\n",
        "a,b\rx,y\r",
    ],
)
def test_empty_rows_and_columns_are_skipped(path, data):
    table = read(path, data)
    assert [row.cells for row in table.rows] == [{"a": "x", "b": "y"}]
    assert table.ignored == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dpi_a", "ppi_a"),
        ("PPI_A", "ppi_a"),
        (" ppi_a", "ppi_a"),
        ("ppi_b ", "ppi_b"),
        ("ppib", "ppi_b"),
        ("ppi-a", "ppi_a"),
        ("resolution_b", "ppi_b"),
        ("A", "a"),
        (" b", "b"),
    ],
)
def test_column_that_resembles_a_known_one_is_refused(path, name, meant):
    with pytest.raises(
        Misuse, match=rf"line 1: column 3 is '{name}'; if it is meant for '{meant}'"
    ):
        read(path, f"a,b,{name}\nx,y,500\n")


@pytest.mark.parametrize("name", ["label", "note", "genuine", "score", "finger_a", "person", "id"])
def test_other_columns_are_ignored(path, name):
    assert read(path, f"a,b,{name}\nx,y,500\n").ignored == [name]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a,b,ppi_a,ppi_a\nx,y,1,2\n", "line 1: columns 3 and 4 are both 'ppi_a'"),
        ("a,b,note,note\nx,y,1,2\n", "line 1: columns 3 and 4 are both 'note'"),
        ("a,b\nx,y\nx,y,z\n", "line 3: column 3 is 'z', but the header has 2 columns"),
        ("a,b\nx,y,\n", "line 2: column 3 is ''"),
        ("a,b,ppi_a\nx,y\n", "line 2: has no cell for the column 'ppi_a'; expected 3 cells"),
        ("a,b\nx\n", "line 2: has no cell for the column 'b'"),
        ("a,b\nx,\n", "line 2: column 2, 'b', is empty"),
        ("a,b,\nx,y,z\n", "line 2: column 3 is 'z', but its header is empty"),
        ("a;b\nx;y\n", "has cells separated by semicolons, not by commas"),
        ("a\tb\nx\ty\n", "has cells separated by tabs"),
        ("x,y\n1,2\n", "has the columns x,y; expected the columns a,b, optionally ppi_a,ppi_b"),
        ("101_1.tif,101_2.tif\n", "has the columns 101_1.tif,101_2.tif; expected"),
        ("a,b\n", "has no rows"),
        ("", "has no rows"),
        ('a,b\n"x,y\n', "line 2: is not CSV"),
        ("a,b\nx,y\n".encode("utf-16"), "is UTF-16 text; save it as CSV in UTF-8"),
        ("a,b\nx,y\n".encode("utf-16-le"), "is UTF-16 text or binary data"),
        ("a,b\nx,y\n".encode("utf-16-be"), "is UTF-16 text or binary data"),
        ("a,b\nx,é\n".encode("latin-1"), "line 2: the byte 0xE9 is not UTF-8"),
        (b"PK\x03\x04rest", "is a ZIP archive or an Excel workbook"),
        (b"\x1f\x8brest", "is compressed by gzip"),
    ],
)  # fmt: skip
def test_table_that_is_not_understood_is_refused(path, data, message):
    with pytest.raises(Misuse) as error:
        read(path, data)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
