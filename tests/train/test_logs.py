"""The files that a run is read from."""

import json
import math
import struct

from tensorboardX.proto.event_pb2 import Event, SessionLog

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
    log = Log(tmp_path, str)
    log.rewind(0)
    for step in (1, 2, 3):
        log.step({"step": step, "epoch": 1, "loss": step / 2})
    log.epoch({"epoch": 1, "step": 3, "val": {"pck@4": 0.5, "auc": None}})
    picture = (tmp_path / "logs" / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    log.close()
    losses = [("train/loss", step, step / 2) for step in (1, 2, 3)]
    found = events(tmp_path)
    assert [each for each in found if each[0] == "train/loss"] == losses
    assert ("val/pck_at_4", 3, 0.5) in found and "val/auc" not in {tag for tag, _, _ in found}
    again = Log(tmp_path, str)  # killed after step 3, saved after step 2
    again.rewind(2)
    again.step({"step": 3, "epoch": 1, "loss": 9.0})
    again.epoch({"epoch": 1, "step": 3, "val": None})
    again.close()
    found = [each for each in events(tmp_path) if each[0] == "train/loss"]
    assert found == [*losses[:2], ("train/loss", 3, 9.0)]
    assert (tmp_path / "logs" / "curves.png").read_bytes() != picture


def test_only_one_of_several_processes_writes(tmp_path):
    said = []
    log = Log(tmp_path, said.append, writes=False)
    log.rewind(0)
    log.say("heard by none")
    log.step({"step": 1, "loss": 0.5})
    log.epoch({"epoch": 1, "step": 1, "val": None})
    log.describe({})
    log.close()
    assert said == [] and list(tmp_path.iterdir()) == []
    assert log.epochs[-1]["step"] == 1  # it knows nevertheless where the run stands


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
