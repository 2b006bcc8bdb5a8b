"""What a person sees of a run while it trains."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from training import TRAIN

from train import logs, monitor


@pytest.fixture
def run(tmp_path):
    """A journal of two epochs of 20 steps."""
    return monitor.Journal(
        logs.Log(tmp_path, str), TRAIN, SimpleNamespace(steps=20), total=40, ideal=1e-9
    )


def go(run, steps):
    """Steps whose loss is their number."""
    for step in steps:
        run.keep_up()
        run.dispatched(step, {"loss": jnp.float32(step), "learning_rate": jnp.float32(0.1)})


def test_the_console_tells_where_a_run_stands(run):
    assert run.shown(0) == {"step": "0/40", "epoch": 0}
    go(run, range(1, 13))
    run.read()
    shown = run.shown(12)
    assert shown.pop("wait") == "0.0%" and shown.pop("utilisation").endswith("%")
    assert shown == {"step": "12/40", "epoch": 1, "loss": np.mean(range(1, 13))}
    go(run, range(13, 21))
    run.read()
    run.close_epoch(20, {"pck@4": 0.5})
    assert run.shown(21) == {"step": "21/40", "epoch": 2, "val_pck@4": 0.5}  # rates begin anew


def test_steps_are_taken_in_together_and_none_is_lost(run, monkeypatch, tmp_path):
    monkeypatch.setattr(monitor, "PATIENCE", 1e9)
    last = 2 + monitor.TOGETHER
    go(run, range(1, last))
    assert [line["step"] for line in logs.read_steps(tmp_path)] == [1]  # their pace was not known
    go(run, [last])
    assert [line["step"] for line in logs.read_steps(tmp_path)] == [*range(1, last)]
    run.read()
    assert [line["loss"] for line in logs.read_steps(tmp_path)] == [*range(1, last + 1)]


def test_slow_steps_are_taken_in_one_by_one(run, monkeypatch, tmp_path):
    monkeypatch.setattr(monitor, "PATIENCE", 1e-9)  # all are slow
    for step in range(1, 6):
        go(run, [step])
        assert len(logs.read_steps(tmp_path)) == step - 1  # the last one still runs
