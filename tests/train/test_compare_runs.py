"""Comparison of runs, and their curves."""

import json

import pytest

from train import compare_runs, curves


def make_run(folder, validation, losses=(), pck=0.5):
    logs = folder / "logs"
    logs.mkdir(parents=True)
    info = {"config": {"train.seed": 1}, "shards": {"path": str(folder / "set")}}
    info |= {"spec_hash": "s"} | ({"validation": validation} if validation else {})
    (logs / "run.json").write_text(json.dumps(info))
    epoch = {"epoch": 1, "step": 10, "loss": 1.0, "val": {"pck@4": pck}}
    (logs / "metrics.json").write_text(json.dumps([epoch]))
    lines = [json.dumps({"step": step, "loss": loss}) for step, loss in losses]
    (logs / "metrics.jsonl").write_text("\n".join(lines))
    return folder


def test_runs_that_were_validated_on_different_sets_are_named(tmp_path):
    a = make_run(tmp_path / "a", {"shards": "1" * 64, "pairs": 1200})
    b = make_run(tmp_path / "b", {"shards": "2" * 64, "pairs": 300})
    text = compare_runs.compare([a, b])
    expected = f"validated on different sets, so val.* cannot be compared: {a}/set (1,200 pairs)"
    assert f"{expected} | {b}/set (300 pairs)" in text
    same = make_run(tmp_path / "c", {"shards": "1" * 64, "pairs": 1200})
    assert "different sets" not in compare_runs.compare([a, same])


def test_runs_of_an_earlier_version_are_compared_by_their_spec(tmp_path):
    a, b = [make_run(tmp_path / name, None) for name in "ab"]
    assert "different sets" not in compare_runs.compare([a, b])
    c = make_run(tmp_path / "c", {"shards": "1" * 64, "pairs": 1200})
    assert "(pairs not recorded) |" in compare_runs.compare([a, c])


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        ([(1, 9), (10, 4), (20, 3), (22, 8)], [(1, 9), (10, 4), (22, (10 * 3 + 2 * 8) / 12)]),
        ([(1, 9), (10, 4), (20, 3), (30, 2)], [(1, 9), (10, 4), (20, 3), (30, 2)]),
        ([(1, 9), (4, 3)], [(1, 9), (4, 3)]),
        ([], []),
    ],
)
def test_the_last_partial_line_is_no_jump_in_the_curve(logged, expected):
    steps = [{"step": step, "loss": loss} for step, loss in logged]
    assert list(zip(*curves.loss_curve(steps), strict=True)) == expected


def test_curves_are_written(tmp_path):
    run = make_run(tmp_path / "a", None, [(1, 9.0), (10, 4.0), (20, 3.0), (22, 8.0)])
    curves.plot_curves([run], tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
