"""The log of results: changed and repeated lines, other inputs, one writer, arrays as text."""

import json
import operator
import os

import numpy as np
import pytest

from train.evaluation import output, result_log
from train.evaluation.result_log import ResultLog

INPUTS = {"checkpoint_sha256": "1"}
ROWS = [{"a": name, "score": 0.1 * k} for k, name in enumerate("xyz")]


def open_log(folder, inputs=INPUTS):
    return ResultLog(folder, inputs, operator.itemgetter("a"))


@pytest.fixture
def path(tmp_path):
    """A log of three rows."""
    with open_log(tmp_path) as log:
        for row in ROWS:
            log.append(row)
    return log.path


def test_rows_are_kept_in_their_order(path):
    content = path.read_bytes()
    with open_log(path.parent) as log:
        assert log.rows == ROWS
    assert path.read_bytes() == content


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace(b"score", b"scora"),
        lambda line: line.replace(b'"score": 0', b'"score": 1'),
        lambda line: line[: len(line) // 2] + b"\n",
        lambda line: b"\x00\xff\n",
        lambda line: b"[1]\n",
        lambda line: b"\n",
    ],
)
def test_a_changed_row_is_dropped_and_the_others_stay(path, k, damage, capsys):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:k], damage(lines[k]), *lines[k + 1 :]]))
    with open_log(path.parent) as log:
        assert log.rows == ROWS[: k - 1] + ROWS[k:]
        assert "1 damaged results are computed again" in capsys.readouterr().err
        log.append(ROWS[k - 1])
    with open_log(path.parent) as log:
        assert sorted(log.rows, key=operator.itemgetter("a")) == ROWS


def test_a_row_that_was_logged_twice_counts_once(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[1]]))
    with open_log(path.parent) as log:
        assert log.rows == ROWS


def test_rows_of_other_inputs_are_not_believed_and_stay(path):
    other = {"checkpoint_sha256": "2"}
    with open_log(path.parent, other) as log:
        assert not log.rows and log.path != path
        log.append(ROWS[0])
    log.path.write_bytes(path.read_bytes())
    with open_log(path.parent, other) as log:
        assert not log.rows
    with open_log(path.parent) as log:
        assert log.rows == ROWS


def test_the_first_line_holds_the_inputs(path):
    first = json.loads(path.read_bytes().splitlines()[0])
    assert first.pop(result_log.CHECKSUM) and first == INPUTS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([b"damaged\n", *lines[1:]]))
    with open_log(path.parent) as log:
        assert log.rows == ROWS
    assert path.read_bytes() == b"".join(lines)


def test_arrays_survive_as_text():
    arrays = {"network/error": np.float32([0.1, np.nan]), "network/kept": np.array([True, False])}
    decoded = result_log.decode_arrays(result_log.encode_arrays(arrays))
    assert decoded.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(decoded[name], values)
        assert decoded[name].dtype == values.dtype


def test_files_whose_names_are_no_text_are_digested_and_written(tmp_path):
    name = os.fsdecode(b"1_\xff.png")
    paths = [tmp_path / name, tmp_path / "1_1.png"]
    for path in paths:
        path.write_bytes(b"image")
    assert result_log.digest(paths[:1]) != result_log.digest(paths[1:])
    output.write_csv(tmp_path / "t.csv", [{"a": name}])
    assert (tmp_path / "t.csv").read_bytes() == b"a\n1_\xff.png\n"
