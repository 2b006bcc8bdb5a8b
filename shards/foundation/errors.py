"""Errors whose message is for the user: what is wrong, where, what was expected, what to do."""

from __future__ import annotations

from typing import NamedTuple


class Fault(Exception):
    """A check or a computation failed. A command ends with its message and exit status 1."""

    exit_code = 1


class Misuse(Fault):
    """A command cannot start with its arguments. It ends with the message and exit status 2."""

    exit_code = 2


class Finding(NamedTuple):
    """One fault of a shard set."""

    file: str  # path relative to the set; a partition's name where no single file is at fault
    record: int | None  # number of the record in the file, from 0; None for the whole file
    message: str  # a phrase that continues "FILE …", such as "is missing"

    def __str__(self) -> str:
        """Format the finding as one line; line breaks in the message become spaces."""
        record = "" if self.record is None else f"record {self.record}: "
        return f"{self.file}: {record}{' '.join(self.message.split())}"
