"""Standard output and standard error that show names of files safely and name their failures."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from shards.foundation.errors import Fault, Misuse
from shards.foundation.printable import printable

NULL = Path(os.devnull)
STANDARD_ERROR = 2  # file descriptor
NAMES = {1: "standard output", STANDARD_ERROR: "standard error"}


@contextlib.contextmanager
def named_streams() -> Iterator[None]:
    """Replace sys.stdout and sys.stderr in the block by streams that escape and raise a Fault.

    Control characters, which names of files may contain, never reach a terminal (`printable`). An
    OSError would be taken for one of the file that is being written. Streams that were replaced
    before, such as those of a test, stay as they are. A closed standard input or standard error
    becomes /dev/null: a file that is opened later must not get its number.

    Raises:
        Misuse: standard output is closed.
        Fault: a stream cannot be written, for example because the disk is full. The rest of the
            output is lost.
    """
    before = sys.stdout, sys.stderr
    _open_closed()
    if sys.stdout is None:
        raise Misuse(f"{NAMES[1]} is closed; send it to a file, or to /dev/null")
    sys.stdout, sys.stderr = _named(sys.stdout, sys.__stdout__), _named(sys.stderr, sys.__stderr__)
    try:
        yield
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        sys.stdout, sys.stderr = before


class _NamedFile(io.FileIO):
    """An open file descriptor; once a write fails, what follows goes to /dev/null."""

    def write(self, data: Any, /) -> int:
        """Write bytes; Fault where that fails. A reader that has ended is a BrokenPipeError."""
        try:
            return super().write(data)
        except OSError as error:
            with NULL.open("wb") as null:
                os.dup2(null.fileno(), self.fileno())
            if isinstance(error, BrokenPipeError):
                raise
            raise Fault(f"{NAMES[self.fileno()]}: cannot be written: {error.strerror}") from error


class _PrintableText(io.TextIOWrapper):
    """A text stream whose control characters are escaped."""

    def write(self, text: str, /) -> int:
        """Write text; on standard error a progress bar returns to the start of its line."""
        if not isinstance(text, str):  # click tries bytes to see whether a stream takes text
            raise TypeError(f"{text!r}: expected text")
        parts = text.split("\r") if self.fileno() == STANDARD_ERROR else [text]
        return super().write("\r".join(map(printable, parts)))


def _named(stream: TextIO, original: TextIO | None) -> TextIO:
    """Return a stream to the same descriptor that escapes, and raises Faults."""
    if stream is not original or not isinstance(stream, io.TextIOWrapper):
        return stream
    file = _NamedFile(stream.fileno(), "w", closefd=False)
    return _PrintableText(
        io.BufferedWriter(file),
        stream.encoding,
        "backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _open_closed() -> None:
    """Open /dev/null in the place of each closed standard stream; sys.stdout stays None."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(NULL, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = NULL.open("w")
