"""The errors that a person meets: what was found, what was expected, where, and what to do."""

from __future__ import annotations

from typing import NamedTuple


class Fault(Exception):
    """The check or the work failed; the message is for the person. Exit status 1."""

    exit_code = 1


class Misuse(Fault):
    """The command cannot start as it was called. Exit status 2."""

    exit_code = 2


class Finding(NamedTuple):
    """One thing that a check of a set found wrong."""

    file: str  # relative to the set; a partition where no one file is at fault
    record: int | None  # its number in the file
    what: str

    def __str__(self) -> str:
        """One line, whatever the parts hold."""
        record = "" if self.record is None else f"record {self.record}: "
        return f"{self.file}: {record}{' '.join(self.what.split())}"
