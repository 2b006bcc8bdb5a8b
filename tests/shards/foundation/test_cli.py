"""Errors that end a command."""

import click
import pytest
from click.testing import CliRunner

from shards.foundation.cli import CommandGroup


def run(error):
    """Run a command that raises an error."""

    @click.group(cls=CommandGroup)
    def main():
        pass

    @main.command()
    def work():
        raise error

    return CliRunner().invoke(main, ["work"])


def test_an_error_of_the_system_names_its_file():
    done = run(OSError(36, "File name too long", "prints/long"))
    assert done.exit_code == 1
    assert done.output == "error: prints/long: cannot be used: File name too long\n"


@pytest.mark.parametrize("error", [OSError("a library's own"), ValueError("a defect")])
def test_an_error_of_the_program_itself_keeps_its_traceback(error):
    assert run(error).exception is error
