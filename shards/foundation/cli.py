"""What every package's command line shares: option spelling, and faults as messages."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click

from shards.foundation.errors import Fault


def split_names(given: Iterable[str]) -> tuple[str, ...]:
    """The names in options that may hold several each, joined by commas; once each."""
    names = (name.strip() for item in given for name in item.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


class Door(click.Group):
    """A group whose options may be spelt with dashes or underscores, and whose faults are said.

    A Fault ends the command with its message and exit status 1 (2 for Misuse), never a traceback.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("context_settings", {})
        options["context_settings"].update(
            token_normalize_func=lambda token: token.replace("_", "-"), max_content_width=100
        )
        super().__init__(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; say a fault on standard error."""
        try:
            return super().invoke(ctx)
        except Fault as fault:
            click.echo(f"error: {fault}", err=True)
            sys.exit(fault.exit_code)
        except BrokenPipeError:
            sys.exit(1)
