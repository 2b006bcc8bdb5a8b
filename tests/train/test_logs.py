"""The log files of a run."""

import json
import math
import struct

from tensorboardX.proto.event_pb2 import Event, SessionLog

from train.curves import read_steps
from train.logs import RunLog
from train.meters import Clock, Meter


def test_truncate_removes_later_steps(tmp_path):
    log = RunLog(tmp_path, str)
    for step in range(1, 7):
        log.add_step({"step": step, "loss": step / 3})
    log.add_epoch({"epoch": 1, "step": 3, "val": None})
    log.add_epoch({"epoch": 2, "step": 6, "val": {"pck@4": 0.5}})
    with (tmp_path / "logs" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "lo')  # killed while it was written
    log = RunLog(tmp_path, str)
    log.truncate(4)
    log.add_step({"step": 5, "loss": 5 / 3})
    assert read_steps(tmp_path) == [{"step": s, "loss": s / 3} for s in (1, 2, 3, 4, 5)]
    assert [e["epoch"] for e in json.loads((tmp_path / "logs/metrics.json").read_text())] == [1]


def events(run):
    """(tag, step, value) of what TensorBoard would show: later files purge earlier steps."""
    found = []
    for path in sorted((run / "logs" / "tensorboard").iterdir(), key=lambda p: p.stat().st_mtime):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size = struct.unpack_from("<Q", data, at)[0]  # TFRecord: size, crc, bytes, crc
            event = Event.FromString(data[at + 12 : at + 12 + size])
            if event.HasField("session_log") and event.session_log.status == SessionLog.START:
                found = [each for each in found if each[1] < event.step]
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            at += size + 16
    return found


def test_curves_for_tensorboard_and_as_a_picture(tmp_path):
    log = RunLog(tmp_path, str)
    log.truncate(0)
    for step in (1, 2, 3):
        log.add_step({"step": step, "epoch": 1, "loss": step / 2})
    log.add_epoch({"epoch": 1, "step": 3, "val": {"pck@4": 0.5, "auc": None}})
    picture = (tmp_path / "logs" / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    log.close()
    losses = [("train/loss", step, step / 2) for step in (1, 2, 3)]
    found = events(tmp_path)
    assert [each for each in found if each[0] == "train/loss"] == losses
    assert ("val/pck_at_4", 3, 0.5) in found and "val/auc" not in {tag for tag, _, _ in found}
    again = RunLog(tmp_path, str)  # killed after step 3, saved after step 2
    again.truncate(2)
    again.add_step({"step": 3, "epoch": 1, "loss": 9.0})
    again.add_epoch({"epoch": 1, "step": 3, "val": None})
    again.close()
    found = [each for each in events(tmp_path) if each[0] == "train/loss"]
    assert found == [*losses[:2], ("train/loss", 3, 9.0)]
    assert (tmp_path / "logs" / "curves.png").read_bytes() != picture


def test_only_one_of_several_processes_writes(tmp_path):
    lines = []
    log = RunLog(tmp_path, lines.append, writes=False)
    log.truncate(0)
    log.announce("not printed")
    log.add_step({"step": 1, "loss": 0.5})
    log.add_epoch({"epoch": 1, "step": 1, "val": None})
    log.write_run_info({})
    log.close()
    assert lines == [] and list(tmp_path.iterdir()) == []
    assert log.epochs[-1]["step"] == 1  # it knows the position of the run all the same


def test_nan_is_null_in_json(tmp_path):
    log = RunLog(tmp_path, str)
    log.add_epoch({"epoch": 1, "step": 3, "val": {"auc": math.nan, "list": [math.inf, 1.5]}})
    text = (tmp_path / "logs" / "metrics.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)[0]["val"] == {"auc": None, "list": [None, 1.5]}


def test_lines_go_to_the_console_and_to_the_file(tmp_path):
    printed = []
    log = RunLog(tmp_path, printed.append)
    log.announce("both")
    log.write("file alone")
    assert printed == ["both"]
    lines = (tmp_path / "logs" / "train.log").read_text().splitlines()
    assert [line[20:] for line in lines] == ["both", "file alone"]


def test_meter_continues_exactly():
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


def test_clock_does_not_count_pauses(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    clock = Clock()
    now = 10.0
    with clock.paused():
        now = 14.0
    with clock.waiting():
        now = 15.0
    assert (clock.seconds, clock.waited) == (11.0, 1.0)
    clock.restart()
    assert (clock.seconds, clock.waited, clock.steps) == (0.0, 0.0, 0)
