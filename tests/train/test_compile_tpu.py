"""The TPU program judged without a TPU: what the parts read, and a small compilation."""

import dataclasses
import importlib.util
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from click.testing import CliRunner
from training import MODEL, TRAIN, make_set

from model.network.flops import count_flops
from shards.foundation.errors import Misuse
from train import compile_tpu, loader, peak_speed, state, step
from train.__main__ import main

ROOT = Path(__file__).parents[2]
TPU_PYTHON = ROOT / ".venv-tpu" / "bin" / "python"
SOUND = compile_tpu.CompiledStep(
    8, "TPU v5 lite", 128, 13 * compile_tpu.GIB, 20e12, 40e9, [("all-reduce", "f32[]")], 9.0
)

HLO = """
  %copy.1 = f32[8,128]{1,0} copy(f32[8,128]{0,1} %all-reduce.1)
  %all-reduce.9 = (f32[1,128,256]{3,2,1,0:T(8,128)S(1)}, f32[64]{0:T(128)}) all-reduce(%a)
  %ag = f32[16]{0} all-gather-start(f32[2]{0} %b), dimensions={0}
  ROOT %p = bf16[4,4]{1,0} collective-permute(bf16[4,4]{1,0} %c), metadata={op_name="all-to-all"}
"""


def test_collectives_are_found():
    collectives = compile_tpu.find_collectives(HLO)
    names = [name for name, _ in collectives]
    assert names == ["all-reduce", "all-gather", "collective-permute"]
    assert collectives[1][1] == "f32[16]{0}"


@pytest.mark.parametrize(
    ("change", "starts"),
    [
        ({}, []),
        ({"peak_bytes": 17 * compile_tpu.GIB}, ["17.00 GiB do not fit into the 16 GiB of a core"]),
        (
            {"collectives": [("all-reduce", ""), ("all-gather", "")]},
            ["unexpected collectives: all"],
        ),
        ({"collectives": []}, ["no all-reduce"]),
        ({"collectives": [], "cores": 1}, []),
    ],
)
def test_faults_of_a_compiled_step(change, starts):
    faults = compile_tpu.find_faults(dataclasses.replace(SOUND, **change))
    assert len(faults) == len(starts)
    assert all(fault.startswith(start) for fault, start in zip(faults, starts, strict=True))


def test_hours_follow_from_the_work():
    text = compile_tpu.describe(SOUND)
    hours = 100 * (100_000 // 128) * 20e12 / (0.4 * 197e12 * 8) / 3600
    assert f"{hours:.2f} h at 40%" in text and "13.00 of 16 GiB" in text
    hours = 100 * (100_000 // 128) * 40e9 / 819e9 / 3600
    assert f"by operands {hours:.2f} h" in text
    assert "8 × TPU v5 lite, 16 pairs each" in text and "1 all-reduce" in text


def test_shapes_are_those_of_the_loader(tmp_path):
    mesh = state.make_mesh(jax.devices()[:2])
    batches = loader.TrainingBatches(make_set(tmp_path), 8, seed=0)
    batch = next(batches)
    put = step.put({name: batch[name] for name in step.LOSS_INPUTS}, mesh)
    batches.close()
    told = step.abstract_batch(MODEL, TRAIN, 8, mesh)
    assert {k: (v.shape, v.dtype, v.sharding) for k, v in put.items()} == {
        k: (v.shape, v.dtype, v.sharding) for k, v in told.items()
    }


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_work_of_a_step(devices, accumulate):
    """The same however it is divided, and what XLA counts where it counts right.

    With linear attention: softmax attention is a loop, and XLA counts the body of a loop once.
    """
    linear = dataclasses.replace(MODEL, attention="linear")
    mesh = state.make_mesh(jax.devices()[:devices])
    config = dataclasses.replace(TRAIN, accumulate=accumulate)
    program = step.make_program(linear, config, 100, mesh, 1.0)
    traced = program.train.trace(program.abstract, step.abstract_batch(linear, config, 8, mesh))
    found, xla = count_flops(traced.jaxpr), traced.lower().cost_analysis()["flops"]
    if accumulate == 1:  # the parts are another loop
        assert found == pytest.approx(xla * devices, rel=0.2)
    one = step.make_program(linear, TRAIN, 100, state.make_mesh(jax.devices()[:1]), 1.0)
    whole = step.abstract_batch(linear, TRAIN, 8, state.make_mesh(jax.devices()[:1]))
    assert found == pytest.approx(count_flops(one.train.trace(one.abstract, whole).jaxpr), rel=0.05)


def test_peak_of_a_cpu_is_measured():
    assert peak_speed.peak_flops(jax.devices()[0]) > 1e6


@pytest.mark.skipif(bool(importlib.util.find_spec("libtpu")), reason="the compiler is here")
def test_without_the_compiler():
    done = CliRunner().invoke(main, ["check-tpu"])
    assert done.exit_code == 2 and "make check-tpu installs libtpu" in done.output


@pytest.mark.parametrize("kind", ["TPU v3", "TPU7x", ""])
def test_an_unknown_kind_of_core_is_refused_before_compiling(monkeypatch, kind):
    monkeypatch.setattr(
        compile_tpu, "find_topology", lambda name: [SimpleNamespace(device_kind=kind)]
    )
    with pytest.raises(
        Misuse, match=f"v9:2x2: its cores are {kind!r}.* expected a topology of TPU v4"
    ):
        compile_tpu.compile_step(MODEL, TRAIN, 8, "v9:2x2")


def test_every_kind_that_is_accepted_can_be_described():
    for kind in compile_tpu.MEMORY:
        compile_tpu.require_known_kind(kind, "any")
        compiled = dataclasses.replace(SOUND, kind=kind)
        assert f"8 × {kind}, 16 pairs" in compile_tpu.describe(compiled)
        assert not compile_tpu.find_faults(compiled)


TINY = f"""
from model.network.config import ModelConfig
from train import compile_tpu
from train.config import TrainConfig
found = compile_tpu.compile_step({MODEL!r}, {TRAIN!r}, 8, "v5e:2x4")
print(compile_tpu.find_faults(found), found.cores, found.kind, found.batch_size)
"""


@pytest.mark.skipif(not TPU_PYTHON.exists(), reason="make check-tpu installs the TPU's compiler")
def test_a_small_network_compiles_for_eight_cores():
    tpu = {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_ACCELERATOR_TYPE": "v5litepod-8"}
    tpu["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"  # no TPU is taken by it
    plain = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    done = subprocess.run(
        [TPU_PYTHON, "-c", TINY],
        cwd=ROOT,
        env={**plain, **tpu, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[] 8 TPU v5 lite 8"
