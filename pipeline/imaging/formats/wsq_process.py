"""Decode WSQ files in a process of its own, since the library crashes on some damaged files.

The process is started with the first WSQ file and serves all later ones; after a failure it is
replaced. Run as a script, this file is the process: it reads files from standard input and writes
their pixels to standard output.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import select
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import BinaryIO

LENGTH = struct.Struct("<Q")  # before each file
SIZE = struct.Struct("<II")  # (width, height) before the pixels; (0, 0) where it does not decode


@dataclass(frozen=True)
class WsqParameters:
    """Limits of the decoding."""

    # s. Chosen: a file of 8192×8192 px takes about 20.
    time_max: float = 120.0


DEFAULT = WsqParameters()


class Decoder:
    """The client of the process; each process of the program has one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0  # the process that started it; one forked from it needs another

    def decode(
        self, data: bytes, parameters: WsqParameters = DEFAULT
    ) -> tuple[tuple[int, int], bytes] | None:
        """Return (width, height) and the pixels row by row; None where the file is damaged."""
        with self._lock:
            process = self._start()
            try:
                result = _exchange(process, data, parameters.time_max)
            except OSError:  # it has crashed
                result = None
            except BaseException:  # its answer, not read, would be taken for that to the next file
                self._end(process)
                raise
            if result is None:
                self._end(process)
            return result

    def close(self) -> None:
        """End the process, if there is one; a forked process leaves that of its parent alone."""
        if self._process is not None and self._owner == os.getpid():
            self._end(self._process)

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner == os.getpid():
            if self._process.poll() is None:
                return self._process
            self._end(self._process)
        # -P: modules beside this file do not hide packages of the same names
        command = [sys.executable, "-P", __file__]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl+C does not end it before the program does
        )
        self._owner = os.getpid()
        return self._process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a process, and forget it."""
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()
        self._process = None


DECODER = Decoder()
atexit.register(DECODER.close)


def _exchange(
    process: subprocess.Popen[bytes], data: bytes, time_max: float
) -> tuple[tuple[int, int], bytes] | None:
    """Send a file and return its pixels; None where it does not decode in time."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(LENGTH.pack(len(data)) + data)
    process.stdin.flush()
    if not select.select([process.stdout], [], [], time_max)[0]:
        return None
    head = process.stdout.read(SIZE.size)
    if len(head) < SIZE.size:
        return None
    width, height = SIZE.unpack(head)
    pixels = process.stdout.read(width * height)
    return ((width, height), pixels) if 0 < width * height == len(pixels) else None


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Decode files until the input ends."""
    while head := requests.read(LENGTH.size):
        data = requests.read(*LENGTH.unpack(head))
        width, height, pixels = _decode(data)
        answers.write(SIZE.pack(width, height) + pixels)
        answers.flush()


def _decode(data: bytes) -> tuple[int, int, bytes]:
    """Return width, height and pixels; zeros and no pixels where the file is damaged."""
    import wsq  # noqa: F401  (registers itself with Pillow)
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data), formats=("WSQ",))
        image.load()
    except Exception:  # of any type for hostile files
        return 0, 0, b""
    return *image.size, image.tobytes()


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
