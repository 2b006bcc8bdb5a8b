"""One shard: an ArrayRecord file of records, complete or absent, checked whenever it is opened."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from shards import manifest as manifests
from shards import record
from shards.foundation import files
from shards.foundation.errors import Fault
from shards.foundation.threads import require_threads
from shards.manifest import ShardEntry

WRITER_OPTIONS = "group_size:1,uncompressed"  # a random read needs the bytes of one record only
READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"  # the same; no thread pool


@dataclass(frozen=True)
class ShardFileParameters:
    """Limits of reading."""

    # Records read at a time from a whole shard; chosen: 5 MB of published records (42 kB each)
    block_records: int = 128
    message_characters: int = 200  # of an error of ArrayRecord; chosen: two lines
    # Threads that ArrayRecord starts for the first reader of a process, whatever READER_OPTIONS
    # say (counted in /proc/self/task, array_record 0.8)
    reader_threads: int = 64


DEFAULT = ShardFileParameters()


def write_shard(
    path: Path,
    records: Iterable[bytes],
    before_rename: Callable[[ShardEntry], None] = lambda _: None,
) -> ShardEntry:
    """Write the shard OUT/<split>/<name> atomically and read it back.

    ArrayRecord files are not usable before they are closed, so the records go into a temporary
    file, which is read back, synced to the disk and then renamed.

    Args:
        path: the final path; its last two parts are the shard's name in the manifest.
        records: the records, in order. An exception that they raise passes through.
        before_rename: called with the entry when no earlier shard has the name any more and the
            new one does not have it yet. Its exceptions pass through too.

    Returns:
        The shard's entry for the manifest.

    Raises:
        Fault: the file cannot be written, or a record is damaged.
    """
    manifests.parse_name(_shard_name(path))
    with files.temporary_file(path, durable=True) as temporary:
        _write_records(temporary, path, records)
        entry = _describe(temporary, path)
        with files.report_write_errors(path):
            path.unlink(missing_ok=True)
        before_rename(entry)
        return entry


def describe_shard(path: Path) -> ShardEntry:
    """Return the manifest entry of the shard OUT/<split>/<name> after reading all of it.

    Raises:
        Fault: the file is damaged, or a record does not match its checksum.
    """
    return _describe(path, path)


def check_file(root: str, entry: ShardEntry) -> str | None:
    """Check the kind, size and footer of a shard's file, without reading its records.

    Args:
        root: real path of the set's folder; no symbolic link may lead out of it.
        entry: the shard's entry in the manifest.

    Returns:
        A message that describes the fault, or None.
    """
    path = os.path.join(root, entry.name)  # noqa: PTH118 (ten times as fast for 10⁵ shards)
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode) or os.path.realpath(path) != path:
            return "is or lies behind a symbolic link; a shard must be a file within its set"
        if not stat.S_ISREG(status.st_mode):
            return "is not a file"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if status.st_size != entry.bytes:
        return f"has {status.st_size} bytes, expected {entry.bytes} by the manifest"
    try:
        open_reader(path, entry.records).close()
    except Fault as fault:
        return str(fault)
    return None


def open_reader(path: str | Path, records: int | None = None) -> ArrayRecordReader:
    """Open a shard for reading.

    Args:
        path: the file.
        records: the number of records in the manifest, if it is to be compared.

    Raises:
        Fault: the footer is damaged, the number of records differs, or this process cannot start
            the threads of a reader.
    """
    require_threads(DEFAULT.reader_threads)
    try:
        files.open_file(Path(path)).close()  # a pipe would be waited on for ever
        reader = ArrayRecordReader(str(path), READER_OPTIONS)
    except OSError as error:
        raise Fault(f"cannot be opened: {error.strerror}") from error
    except TypeError as error:  # of ArrayRecord
        raise Fault("cannot be opened: its path has bytes that are no UTF-8; rename it") from error
    except (RuntimeError, ValueError) as error:
        raise Fault(f"cannot be opened: {_shorten(error)}") from error
    if not reader.ok():  # a damaged footer raises nothing
        raise Fault("is damaged: it has no valid ArrayRecord footer")
    if records is not None and reader.num_records() != records:
        raise Fault(f"has {reader.num_records()} records, expected {records} by the manifest")
    return reader


def read_records(reader: ArrayRecordReader, numbers: list[int]) -> list[bytes]:
    """Read records by their numbers in the shard.

    Raises:
        Fault: the shard is damaged.
    """
    try:
        records = reader.read(numbers)
    except (RuntimeError, ValueError, IndexError) as error:
        raise Fault(f"is damaged: {_shorten(error)}") from error
    if len(records) != len(numbers):
        raise Fault(f"returns {len(records)} records, expected {len(numbers)}")
    return records


def blocks(total: int, parameters: ShardFileParameters = DEFAULT) -> Iterator[list[int]]:
    """Split the numbers of `total` records into blocks that are read at once."""
    size = parameters.block_records
    for start in range(0, total, size):
        yield list(range(start, min(start + size, total)))


def iterate_records(reader: ArrayRecordReader) -> Iterator[tuple[int, bytes]]:
    """Yield (number, record) of all records of a shard, with one block at a time in memory."""
    for numbers in blocks(reader.num_records()):
        yield from zip(numbers, read_records(reader, numbers), strict=True)


def _shard_name(path: Path) -> str:
    return "/".join(path.parts[-2:])


def _write_records(temporary: Path, path: Path, records: Iterable[bytes]) -> None:
    """Write records to the file `temporary`; errors of writing name `path`."""
    with _report_write_errors(path):
        writer = ArrayRecordWriter(str(temporary), WRITER_OPTIONS)
    try:
        for data in records:
            with _report_write_errors(path):
                writer.write(data)
    finally:
        with _report_write_errors(path):
            writer.close()  # a full disk raises here and not before


def _report_write_errors(path: Path) -> contextlib.AbstractContextManager[None]:
    """Turn the errors of the ArrayRecord writer into a Fault that names the file."""
    return files.report_write_errors(path, (OSError, RuntimeError))


def _describe(file: Path, path: Path) -> ShardEntry:
    """Return the entry of a shard whose content is in `file` and whose final path is `path`."""
    partition, split, _, _ = manifests.parse_name(_shard_name(path))
    try:
        reader = open_reader(file)
        counts = _count_kinds_and_noises(reader)
        reader.close()
        sha256, size = files.sha256(file), file.stat().st_size
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error}") from error
    except Fault as fault:
        raise Fault(f"{path} {fault}") from fault
    total = sum(counts.values())
    return ShardEntry(_shard_name(path), partition, split, size, sha256, total, counts)


def _count_kinds_and_noises(reader: ArrayRecordReader) -> dict[str, int]:
    """Count records by "kind/noise"; Fault where a record does not match its checksum."""
    counts: Counter[str] = Counter()
    for number, data in iterate_records(reader):
        try:
            counts["/".join(record.kind_and_noise(data))] += 1
        except Fault as fault:
            raise Fault(f"record {number} {fault}") from fault
    return dict(sorted(counts.items()))


def _shorten(error: Exception) -> str:
    return str(error)[: DEFAULT.message_characters]
