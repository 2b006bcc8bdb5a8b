"""Commands whose output is closed, full or not read: an error that names it, and no traceback."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMAND = """
import click, sys
KINDS = {kind.__name__: kind for kind in (MemoryError, ImportError, RuntimeError)}
from pathlib import Path
from shards.foundation.cli import CommandGroup
from shards.foundation.errors import Fault
from shards.foundation.progress import Progress

@click.group(cls=CommandGroup)
def main(): pass

@main.command()
def show():
    try:
        click.echo("result")
    except OSError as error:  # as around the writing of files
        raise Fault(f"FILE: cannot be written: {error}")

@main.command()
def work():
    with Progress("work", 1, "parts") as progress:
        progress.advance()

@main.command()
def starve():
    raise KINDS[sys.argv[2]](sys.argv[3])

@main.command()
def write():
    with Path(sys.argv[2]).open("wb") as file:
        sys.exit(file.fileno() < 3)

main(args=sys.argv[1:2])
"""


def run(command, redirection, *arguments):
    """Run a command under a shell's redirection; return its status, output and errors."""
    line = f'"$0" -c "$1" {command} "${{@:2}}" {redirection}'
    shell = ["bash", "-c", line, sys.executable, COMMAND, *map(str, arguments)]
    done = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_full_output_is_an_error_that_names_it():
    message = os.strerror(errno.ENOSPC)
    for command in ("show", "--help"):
        status, _, errors = run(command, ">/dev/full")
        assert (status, errors) == (1, f"error: standard output: cannot be written: {message}\n")


def test_a_closed_output_is_an_error_that_names_it():
    status, _, errors = run("show", ">&-")
    assert status == 2 and errors.startswith("error: standard output is closed")


def test_an_output_that_nobody_reads_ends_the_command_in_silence():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", COMMAND, "--help"]
    done = subprocess.run(
        command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_full_standard_error_is_told_by_the_status():
    assert run("work", "2>/dev/full")[0] == 1
    assert run("work", "2>&-")[0] == 0  # nobody wants to read it


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "<&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path, redirection):
    assert run("write", redirection, tmp_path / "file")[0] == 0


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("MemoryError", ""),
        ("MemoryError", " (no 8 GiB)"),
        ("ImportError", " (x.so: failed to map segment from shared object)"),
        ("RuntimeError", " (can't start new thread)"),
    ],
)
def test_too_little_memory_is_an_error(kind, message):
    status, _, errors = run("starve", "", kind, message.strip(" ()"))
    assert status == 1 and errors.startswith(f"error: too little memory{message}; allow more")
