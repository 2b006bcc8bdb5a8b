"""Features that the command lines of all packages share."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click

from shards.foundation.errors import Fault
from shards.foundation.printable import printable


def split_names(values: Iterable[str]) -> tuple[str, ...]:
    """Split the values of a repeatable option at commas.

    Returns:
        The names without surrounding spaces, in order, each once.
    """
    names = (name.strip() for value in values for name in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


class CommandGroup(click.Group):
    """A group of commands with two spellings of options and short error messages.

    Options may be spelled with dashes or with underscores. A Fault ends the command with its
    message on standard error and its exit status (1, or 2 for Misuse), without a traceback.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("context_settings", {})
        options["context_settings"].update(
            token_normalize_func=lambda token: token.replace("_", "-"), max_content_width=100
        )
        super().__init__(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; print the message of a Fault and exit."""
        try:
            return super().invoke(ctx)
        except Fault as fault:
            click.echo(f"error: {printable(str(fault))}", err=True)
            sys.exit(fault.exit_code)
        except BrokenPipeError:
            sys.exit(1)
