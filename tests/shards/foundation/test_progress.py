"""Progress is shown as lines in a log and as a bar on a terminal."""

import re

import pytest

from shards.foundation.progress import Progress, RecentRate


@pytest.fixture
def now(monkeypatch):
    """The time in s as a list of one number, which a test moves on."""
    time = [0.0]
    monkeypatch.setattr("shards.foundation.progress.time.monotonic", lambda: time[0])
    return time


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


def test_lines_are_written_at_the_interval(capsys, now):
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


def test_a_high_rate_is_a_whole_number(capsys, now):
    with Progress("audit", 64_600, "files") as progress:
        now[0] += 1.0
        progress.advance(64_600)
    assert capsys.readouterr().err == "audit: 64600/64600 files, 64,600 files/s, 0:01\n"


def steps_after_compilation(now, count):
    """Take steps of 0.5 s, of which the first takes a minute more."""
    with Progress("train", 1000, "steps") as progress:
        now[0] += 60.0
        for _ in range(count):
            now[0] += 0.5
            progress.advance()


def test_the_time_left_soon_forgets_a_slow_start(capsys, now):
    """990 steps of 0.5 s are left, 8:15, and not 990 of 7 s."""
    steps_after_compilation(now, 11)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("train: 1/1000 steps, 0.0165 steps/s, 1:00, ")
    assert second == "train: 11/1000 steps, 2 steps/s, 1:06, 8:14 left"


def test_the_bar_shows_the_same_rate_and_time(capsys, now, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    steps_after_compilation(now, 11)
    last = re.split(r"[\r\n]+", capsys.readouterr().err.strip())[-1]
    assert "11/1000" in last and "<08:14" in last and "2.00 steps/s" in last


def test_results_of_processes_that_arrive_together_are_no_high_rate():
    """Four processes need 30 s for a task of 100 units each; they end within 6 s."""
    rate = RecentRate(0.0)
    for k in range(20):
        now = 30.0 * (k // 4 + 1) + 2.0 * (k % 4)
        rate.add(now, 100 * (k + 1))
        assert rate.value < 1.5 * 400 / 30
    assert rate.value == pytest.approx(400 / 30)


def test_the_rate_is_that_of_the_last_minute():
    rate = RecentRate(0.0)
    for second in range(1, 301):
        rate.add(float(second), second if second <= 200 else 200 + 5 * (second - 200))
    assert rate.value == pytest.approx(5.0)


def test_few_counts_are_kept():
    rate = RecentRate(0.0)
    for k in range(1, 100_001):
        rate.add(k * 1e-3, k)
    assert rate.value == pytest.approx(1000, rel=1e-6)
    assert len(rate._counts) < 300
