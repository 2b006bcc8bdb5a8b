"""The command `densereg` of the installed package: the commands of all packages in one group."""

from __future__ import annotations

import functools
import importlib

import click

from shards.foundation.cli import CommandGroup
from train.command_names import NAMES, PACKAGES

PARENT = __name__.removesuffix("train.console")  # "densereg." where the package is installed


class InstalledCommands(CommandGroup):
    """The commands of `PACKAGES`, which are imported as far as a command is looked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the packages."""
        return [name for package in PACKAGES for name in _commands(package)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        for package in PACKAGES:
            if cmd_name in _commands(package):
                return _commands(package)[cmd_name]
        return None


@click.group(cls=InstalledCommands)
@click.version_option(package_name="denseregistration", prog_name="densereg")
def main() -> None:
    """Register fingerprints; build shards of training pairs; train and evaluate networks."""


@functools.cache
def _commands(package: str) -> dict[str, click.Command]:
    """Return the commands of a package by the names that they have here."""
    group = importlib.import_module(f"{PARENT}{package}.__main__").main
    return {NAMES.get((package, name), name): each for name, each in group.commands.items()}
