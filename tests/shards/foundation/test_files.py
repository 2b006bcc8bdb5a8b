"""Files are complete or absent, and errors name the file."""

import hashlib
import os

import pytest

from shards.foundation import files
from shards.foundation.errors import Fault


def test_a_file_and_its_folders_are_written(tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    files.write_bytes(path, b"first")
    files.write_bytes(path, b"second", durable=True)
    assert path.read_bytes() == b"second"
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_an_exception_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), files.temporary_file(path) as temporary:
        temporary.write_bytes(b"half of the new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_file_has_a_hidden_name_that_no_other_writer_uses(tmp_path):
    path = tmp_path / "a.bin"
    with files.temporary_file(path) as first, files.temporary_file(path) as second:
        assert first != second and first.parent == second.parent == tmp_path
        assert first.name.startswith(".a.bin.") and first.name.endswith(".tmp")
        first.write_bytes(b"1")
        second.write_bytes(b"2")


@pytest.mark.parametrize("durable", [False, True])
def test_only_a_durable_file_is_synced_before_it_gets_its_name(tmp_path, monkeypatch, durable):
    path, synced = tmp_path / "a.bin", []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(path.exists()), fsync(handle)))
    files.write_bytes(path, b"data", durable)
    assert synced == ([False, True] if durable else [])  # the content, then the name


def test_a_write_error_names_the_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Fault, match=r"file/a\.bin: cannot be written: File exists"):
        files.write_bytes(tmp_path / "file" / "a.bin", b"data")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Fault, match="folder: cannot be written"):
        files.write_bytes(tmp_path / "folder", b"data")
    assert not list(tmp_path.glob(".*.tmp"))


def test_other_errors_are_reported_on_request(tmp_path):
    def fail(*kinds):
        with files.report_write_errors(tmp_path, kinds):
            raise RuntimeError("x" * 1000)

    with pytest.raises(Fault, match=r"cannot be written: x{200}$"):
        fail(OSError, RuntimeError)
    with pytest.raises(RuntimeError):
        fail(OSError)


def test_json_round_trip(tmp_path):
    value = {"a": [1, 2.5, None, "ß"], "b": {}}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    assert files.read_json(tmp_path / "missing.json") is None


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000])
def test_damaged_json_is_a_fault(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(Fault, match=r"a\.json: is not JSON"):
        files.read_json(tmp_path / "a.json")


def test_json_that_cannot_be_read_is_a_fault(tmp_path):
    with pytest.raises(Fault, match="cannot be read: Is a directory"):
        files.read_json(tmp_path)


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"data")
    assert files.sha256(tmp_path / "a.bin") == hashlib.sha256(b"data").hexdigest()
    with pytest.raises(FileNotFoundError):
        files.sha256(tmp_path / "missing")
