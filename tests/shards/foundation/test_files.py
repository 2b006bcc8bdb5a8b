"""Files are complete or absent, and errors name the file."""

import hashlib
import os
import socket
import tracemalloc

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
    with pytest.raises(Fault, match="folder: is a folder"):
        files.write_bytes(tmp_path / "folder", b"data")
    assert not list(tmp_path.glob(".*.tmp"))


def test_whether_a_file_can_be_written_is_checked_without_a_trace(tmp_path):
    path = tmp_path / "folder" / "file"
    files.check_writable(path)
    assert list(path.parent.iterdir()) == []
    path.write_text("old")
    files.check_writable(path)
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]
    for name, message in (("folder", "is a folder"), ("folder/file/x", "cannot be written: ")):
        with pytest.raises(Fault, match=message):
            files.check_writable(tmp_path / name)


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


def test_reading_takes_the_memory_of_the_file_alone(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"data")
    tracemalloc.start()
    assert files.read_bytes(tmp_path / "a.bin") == b"data"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    with pytest.raises(OSError, match="it has 4 bytes; expected at most 3"):
        files.read_bytes(tmp_path / "a.bin", 3)


@pytest.fixture(params=["pipe", "device", "folder", "socket"])
def special(request, tmp_path):
    """A path that is no regular file."""
    path = tmp_path / "special"
    match request.param:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
    return path


@pytest.mark.parametrize(
    "read",
    [files.open_file, files.read_bytes, files.sha256, files.open_to_append],
    ids=lambda read: read.__name__,
)
def test_special_files_are_refused_without_waiting(special, read):
    with pytest.raises(OSError, match=r"regular file|directory|No such device"):
        read(special)


def test_special_files_are_not_replaced(special):
    before = special.stat()
    with pytest.raises(Fault, match=r"special: is a|zero: is a pipe or a device"):
        files.write_bytes(special, b"x", follow_links=True)
    assert os.path.samestat(special.stat(), before)


def test_link_is_written_through_where_a_user_names_it(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_bytes(b"before")
    (tmp_path / "link").symlink_to(tmp_path / "real/file")
    (tmp_path / "dangling").symlink_to(tmp_path / "real/new")
    files.write_bytes(tmp_path / "link", b"after", follow_links=True)
    files.write_bytes(tmp_path / "dangling", b"new", follow_links=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "dangling").is_symlink()
    assert (tmp_path / "real/file").read_bytes() == b"after"
    assert (tmp_path / "real/new").read_bytes() == b"new"


def test_link_in_the_programs_own_folder_is_replaced(tmp_path):
    (tmp_path / "outside").write_bytes(b"before")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    files.write_bytes(tmp_path / "link", b"after")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "outside").read_bytes() == b"before"


def test_loop_of_links_is_reported(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(Fault, match="cannot be written"):
        files.write_bytes(tmp_path / "a", b"x", follow_links=True)


def test_large_files_are_refused_unread(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(300 << 30)
    with pytest.raises(OSError, match="322,122,547,200 bytes; expected at most"):
        files.read_bytes(tmp_path / "sparse")


def test_an_error_of_the_system_concerns_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    for name in ("out/a", str(tmp_path / "out/a"), b"link/a"):
        assert files.concerns(tmp_path / "out", OSError(28, "full", name))
    assert files.concerns(tmp_path / "out", OSError(28, "full"))
    assert not files.concerns(tmp_path / "out", OSError(36, "too long", "other/a"))
