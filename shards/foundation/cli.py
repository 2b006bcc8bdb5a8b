"""Features that the command lines of all packages share."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import click

from shards.foundation import extras
from shards.foundation.errors import Fault
from shards.foundation.printable import printable
from shards.foundation.standard_streams import named_streams

# Messages of a library that cannot be loaded, and of Python, where memory is short
STARVED = ("failed to map segment", "annot allocate memory", "can't start new thread")


def split_names(values: Iterable[str]) -> tuple[str, ...]:
    """Split the values of a repeatable option at commas.

    Returns:
        The names without surrounding spaces, in order, each once.
    """
    names = (name.strip() for value in values for name in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def layout_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options about anyone's own images to a command."""
    for option in (
        click.option(
            "--raw", metavar="WxH", help="Size in px of such images without header (.raw)."
        ),
        click.option("--ppi", type=float, help="Resolution of the images of --layout or --list."),
        click.option("--name", help="NAME of the partition folder/NAME of --layout or --list."),
        click.option(
            "--list",
            "list_file",
            type=Path,
            help="Your own images: CSV or JSON lines with path, finger, impression, person, …",
        ),
        click.option(
            "--layout",
            help="Your own images: a pattern such as '{person}/{finger}_{impression}'; or the "
            "year of an FVC whose folders do not state it, such as fvc2004.",
        ),
    ):
        command = option(command)
    return command


class CommandGroup(click.Group):
    """A group of commands with two spellings of options and short error messages.

    Options may be spelled with dashes or with underscores. A Fault ends the command with its
    message on standard error and its exit status (1, or 2 for Misuse), without a traceback; so does
    an error of the system that names a file.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("context_settings", {})
        options["context_settings"].update(
            token_normalize_func=lambda token: token.replace("_", "-"), max_content_width=100
        )
        super().__init__(*arguments, **options)

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command; print the message of a Fault and exit."""
        try:
            with named_streams(), extras.report_missing():
                return super().main(*arguments, **options)
        except Fault as fault:
            _exit(str(fault), fault.exit_code)
        except (MemoryError, ImportError, RuntimeError) as error:
            if isinstance(error, MemoryError) or any(text in str(error) for text in STARVED):
                reason = f" ({error})" if str(error) else ""
                _exit(f"too little memory{reason}; allow more (ulimit -v), or fewer --workers", 1)
            raise
        except OSError as error:
            if error.filename is not None:
                _exit(f"{os.fsdecode(error.filename)}: cannot be used: {error.strerror}", 1)
            if not _has_working_folder():
                _exit("the working folder was deleted; run the command in another one", 1)
            raise


def _has_working_folder() -> bool:
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


def _exit(message: str, code: int) -> NoReturn:
    """Print an error and exit; where standard error cannot be written, the status alone tells."""
    with contextlib.suppress(OSError):
        click.echo(f"error: {printable(message)}", err=True)
    sys.exit(code)
