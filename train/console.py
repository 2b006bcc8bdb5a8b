"""The command `densereg` of the installed package: the commands of all packages in one group."""

from __future__ import annotations

import functools
import importlib

import click

from shards.foundation.cli import CommandGroup
from train.command_names import NAMES, PACKAGES

PARENT = __name__.removesuffix("train.console")  # "densereg." where the package is installed


class InstalledCommands(CommandGroup):
    """The commands of `PACKAGES`; they are imported with the first one that is looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the packages."""
        return list(_commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        return _commands().get(cmd_name)


@click.group(cls=InstalledCommands)
@click.version_option(package_name="denseregistration", prog_name="densereg")
def main() -> None:
    """Register fingerprints; build shards of training pairs; train and evaluate networks."""


@functools.cache
def _commands() -> dict[str, click.Command]:
    """Return all commands by name."""
    commands = {}
    for package in PACKAGES:
        group = importlib.import_module(f"{PARENT}{package}.__main__").main
        for name, command in group.commands.items():
            commands[NAMES.get((package, name), name)] = command
    return commands
