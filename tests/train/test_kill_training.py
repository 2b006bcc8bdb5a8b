"""A run killed at random moments, most of them while it saves: latest is always whole."""

from lives import assert_same_run, lines, run_lives
from training import make_set

KILLS, STEPS = 10, 120


def test_ten_kills_leave_a_whole_latest_and_change_nothing(tmp_path):
    shards = make_set(tmp_path / "set").directory
    after = run_lives(shards, tmp_path, KILLS, 0)
    assert len(after) == KILLS and all(line.endswith(" []") for line in after)
    assert any(" 0 [" not in line for line in after)  # some died while they wrote
    assert [line["step"] for line in lines(tmp_path / "killed")] == list(range(1, STEPS + 1))
    assert_same_run(tmp_path / "straight", tmp_path / "killed")
