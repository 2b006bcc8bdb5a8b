"""Progress is shown as lines in a log and as a bar on a terminal."""

import pytest

from shards.foundation.progress import Progress


def test_a_log_gets_one_last_line(capsys):
    with Progress("build", 20, "pairs") as progress:
        progress.advance(5)
        progress.advance(15, loss=0.25)
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1  # the work took less than the interval; close() writes once
    assert lines[0].startswith("build: 20/20 pairs, ")
    assert lines[0].endswith("loss 0.25")
    assert "\r" not in lines[0]


def test_lines_are_written_at_the_interval(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("shards.foundation.progress.time.monotonic", lambda: now[0])
    with Progress("train", 100, "steps") as progress:
        for _ in range(50):
            now[0] += 1.0
            progress.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10  # close() does not repeat the tenth
    assert lines[0] == "train: 5/100 steps, 1 steps/s, 0:05, 1:35 left"


def test_a_terminal_gets_a_bar_with_rate_and_values(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress("train", 2, "steps") as progress:
        progress.advance(2, loss=0.5)
    text = capsys.readouterr().err
    assert "\r" in text and "2/2" in text and "loss=0.5" in text


@pytest.mark.parametrize("terminal", [False, True])
def test_no_work_shows_nothing(capsys, monkeypatch, terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    with Progress("check", 0, "images"):
        pass
    assert capsys.readouterr().err == ""


def test_a_high_rate_is_a_whole_number(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("shards.foundation.progress.time.monotonic", lambda: now[0])
    with Progress("audit", 64_600, "files") as progress:
        now[0] += 1.0
        progress.advance(64_600)
    assert capsys.readouterr().err == "audit: 64600/64600 files, 64,600 files/s, 0:01\n"
