"""Metrics of a run: how they are fetched, and what the console shows."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from training import TRAIN

from train import curves, logs, monitor


@pytest.fixture
def run(tmp_path):
    """The monitor of a run of two epochs of 20 steps."""
    return monitored(tmp_path)


def monitored(directory, **parameters):
    return monitor.Monitor(
        logs.RunLog(directory, str),
        TRAIN,
        SimpleNamespace(steps=20),
        40,
        1e-9,
        monitor.MonitorParameters(**parameters),
    )


def train_steps(run, steps):
    """Steps whose loss is their number."""
    for step in steps:
        run.fetch_when_due()
        run.add(step, {"loss": jnp.float32(step), "learning_rate": jnp.float32(0.1)})


def test_console_values(run):
    assert run.console_values(0) == {"step": "0/40", "epoch": 0}
    train_steps(run, range(1, 13))
    run.fetch()
    values = run.console_values(12)
    assert values.pop("wait") == "0.0%" and values.pop("utilisation").endswith("%")
    assert values == {"step": "12/40", "epoch": 1, "loss": np.mean(range(1, 13))}
    train_steps(run, range(13, 21))
    run.fetch()
    run.end_epoch(20, {"pck@4": 0.5})
    assert run.console_values(21) == {
        "step": "21/40",
        "epoch": 2,
        "val_pck@4": 0.5,
    }  # rates begin anew


def test_fast_steps_are_fetched_together(tmp_path):
    run = monitored(tmp_path, max_fetch_seconds=1e9)
    last = 2 + run.parameters.max_steps_per_fetch
    train_steps(run, range(1, last))
    assert [line["step"] for line in curves.read_steps(tmp_path)] == [1]  # their pace was not known
    train_steps(run, [last])
    assert [line["step"] for line in curves.read_steps(tmp_path)] == [*range(1, last)]
    run.fetch()
    assert [line["loss"] for line in curves.read_steps(tmp_path)] == [*range(1, last + 1)]


def test_slow_steps_are_fetched_one_by_one(tmp_path):
    run = monitored(tmp_path, max_fetch_seconds=1e-9)  # all steps count as slow
    for step in range(1, 6):
        train_steps(run, [step])
        assert len(curves.read_steps(tmp_path)) == step - 1  # the last one still runs
