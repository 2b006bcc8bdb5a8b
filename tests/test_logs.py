"""The files that a run is read from."""

import json
import math

from train.logs import Log, read_steps
from train.meters import Clock, Meter


def test_rewind_forgets_what_will_be_done_again(tmp_path):
    log = Log(tmp_path, str)
    for step in range(1, 7):
        log.step({"step": step, "loss": step / 3})
    log.epoch({"epoch": 1, "step": 3, "val": None})
    log.epoch({"epoch": 2, "step": 6, "val": {"pck@4": 0.5}})
    with (tmp_path / "logs" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "lo')  # killed while it was written
    log = Log(tmp_path, str)
    log.rewind(4)
    log.step({"step": 5, "loss": 5 / 3})
    assert read_steps(tmp_path) == [{"step": s, "loss": s / 3} for s in (1, 2, 3, 4, 5)]
    assert [e["epoch"] for e in json.loads((tmp_path / "logs/metrics.json").read_text())] == [1]


def test_what_json_does_not_know_is_null(tmp_path):
    log = Log(tmp_path, str)
    log.epoch({"epoch": 1, "step": 3, "val": {"auc": math.nan, "list": [math.inf, 1.5]}})
    text = (tmp_path / "logs" / "metrics.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)[0]["val"] == {"auc": None, "list": [None, 1.5]}


def test_lines_go_to_the_person_and_to_the_file(tmp_path):
    said = []
    log = Log(tmp_path, said.append)
    log.say("both")
    log.note("file alone")
    assert said == ["both"]
    lines = (tmp_path / "logs" / "train.log").read_text().splitlines()
    assert [line[20:] for line in lines] == ["both", "file alone"]


def test_meter_goes_on_exactly():
    values = [{"loss": k / 7, "norm": 1 / (k + 1)} for k in range(9)]
    whole, first, second = Meter(), Meter(), Meter()
    for value in values:
        whole.add(value)
    for value in values[:4]:
        first.add(value)
    second.restore(json.loads(json.dumps(first.state())))
    for value in values[4:]:
        second.add(value)
    assert second.means() == whole.means()
    assert Meter().means() == {}


def test_clock_leaves_out_what_stands_apart(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    clock = Clock()
    now = 10.0
    with clock.apart():
        now = 14.0
    with clock.waiting():
        now = 15.0
    assert (clock.seconds, clock.waited) == (11.0, 1.0)
    clock.restart()
    assert (clock.seconds, clock.waited, clock.steps) == (0.0, 0.0, 0)
