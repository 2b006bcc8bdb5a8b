"""Control characters in names of files, which could command a terminal, are shown escaped."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from prints import finger
from training import make_set

ROOT = Path(__file__).parents[1]
EVIL = "x\x1b]0;title\x07\x1b[2J\x9b31m\u202e"  # window title, clear screen, colour, right to left
RAW = [character for character in EVIL if not character.isprintable()]
PROGRESS = """
import click
from shards.foundation.cli import CommandGroup
from shards.foundation.progress import Progress

@click.command
def show():
    with Progress("x\\x1b[2J", 1, "x\\x1b[2J") as progress:
        progress.advance(value="x\\x1b[2J")

main = CommandGroup()
main.add_command(show)
main(["show"])
"""


def run(*command):
    """Run Python; return its status, and its output and errors together."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    text = done.stdout.decode()
    assert "x\\x1b" in text, text  # the name is shown
    assert not [character for character in RAW if character in text]
    return done.returncode, text


@pytest.fixture
def folder(tmp_path):
    """Two impressions and an empty image under FVC2002's names, in a folder with an evil name."""
    data = tmp_path / EVIL / "DB1_B"
    data.mkdir(parents=True)
    for k in (1, 2):
        cv2.imwrite(str(data / f"101_{k}.tif"), finger(k, 190, 180))
    cv2.imwrite(str(data / "102_1.tif"), np.full((200, 200), 255, np.uint8))
    return tmp_path


def test_progress():
    assert run("-c", PROGRESS)[0] == 0


def test_audit(folder):
    (folder / EVIL / "DB1_B" / f"101_3{EVIL}.tif").write_bytes(b"no image")
    run("-m", "pipeline", "audit", "--data", folder / EVIL)


def test_build(folder):
    options = ("--out", folder / "out", "--partition", "fvc2002/db1_b")
    status, text = run("-m", "pipeline", "build", "--data", folder / EVIL, *options)
    assert status == 1 and "102_1.tif: " in text


def test_verification(tmp_path):
    make_set(tmp_path / "set")
    (tmp_path / "set" / "train" / f"{EVIL}.arrayrecord").write_bytes(b"")
    assert run("-m", "shards", "verify", tmp_path / "set")[0] == 1


def test_table_of_pairs(folder):
    (folder / "pairs.csv").write_text(f"a,b\n{EVIL}1.png,{EVIL}2.png\n", encoding="utf-8")
    command = ("-m", "model", "register", "--pairs", folder / "pairs.csv")
    status, text = run(*command, "--out", folder / EVIL / "out")
    assert status == 1 and "row 000000 (line 2 of" in text
