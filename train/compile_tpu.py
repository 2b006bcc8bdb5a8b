"""The train step compiled ahead of time for TPU cores that are not here: does it fit, how long.

libtpu brings the TPU's own compiler, which needs no TPU; see "make check-tpu".
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import jax

from model.network.config import ModelConfig
from shards.foundation.errors import Fault, Misuse
from train import flops, state, step
from train.config import TrainConfig

EPOCHS, PAIRS = 100, 100_000  # of the published training
GIB = 2**30
MEMORY = {"TPU v5 lite": 16 * GIB, "TPU v4": 32 * GIB, "TPU v5": 95 * GIB, "TPU v6 lite": 32 * GIB}
EXPECTED = "all-reduce"  # of gradients and metrics; whatever else travels is a mistake
COLLECTIVE = re.compile(
    r"^\s*(?:ROOT )?%?[\w.-]+ = (.*?) "
    r"(all-reduce|all-gather|all-to-all|collective-permute|collective-broadcast|reduce-scatter"
    r"|ragged-all-to-all)(?:-start)?\(",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Compiled:
    """What the compiler says of one step of the whole mesh."""

    cores: int
    kind: str  # of a core
    batch_size: int
    peak_bytes: int  # of memory on a core, at the moment when most is in use
    flops: float  # of the network's products, on all cores
    collectives: list[tuple[str, str]]  # (name, type), as found in the program
    seconds: float  # that compiling took


def compile_step(model: ModelConfig, config: TrainConfig, grid: int, topology: str) -> Compiled:
    """Compile the train step for a TPU topology such as "v5e:2x4".

    grid: cells along a side of the truth. Misuse where libtpu is missing or does not know the
    topology; Fault where the compiler refuses the program.
    """
    mesh = state.make_mesh(find_topology(topology))
    step.check_batch(config.batch_size, config.accumulate, mesh.size)
    program = step.make_program(model, config, 1000, mesh, 1.0)
    batch = step.abstract_batch(model, config, grid, mesh)
    began = time.monotonic()
    try:
        compiled = program.train.lower(program.abstract, batch).compile()
    except jax.errors.JaxRuntimeError as error:  # memory that does not fit, first of all
        raise Fault(f"{topology}: the step does not compile: {_first_lines(error)}") from error
    memory, text = compiled.memory_analysis(), compiled.as_text()
    if memory is None or text is None:
        raise Fault(f"{topology}: the compiler tells neither the memory nor the program")
    return Compiled(
        cores=mesh.size,
        kind=mesh.devices.flat[0].device_kind,
        batch_size=config.batch_size,
        peak_bytes=memory.peak_memory_in_bytes,
        flops=program.flops(batch),
        collectives=find_collectives(text),
        seconds=time.monotonic() - began,
    )


def find_topology(name: str) -> list[jax.Device]:
    """The devices of a TPU topology that is described, not there."""
    from jax.experimental import topologies

    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=name).devices)
    except Exception as error:  # a missing plugin and an unknown name come as several types
        raise Misuse(
            f"{name}: no TPU compiler for it here ({_first_lines(error)}); make check-tpu installs "
            "libtpu into .venv-tpu and takes TOPOLOGY=v5e:2x4 and the like"
        ) from error


def find_collectives(text: str) -> list[tuple[str, str]]:
    """(name, type) of every instruction of an HLO text by which devices exchange data."""
    return [(name, shape) for shape, name in COLLECTIVE.findall(text)]


def judge(found: Compiled) -> list[str]:
    """What is wrong with it: no room in a core's memory, or more travels than means."""
    memory, faults = MEMORY[found.kind], []
    if found.peak_bytes > memory:
        faults.append(
            f"{found.peak_bytes / GIB:.2f} GiB do not fit into the {memory / GIB:.0f} GiB of a "
            "core; lower train.batch_size or raise train.accumulate"
        )
    others = sorted({name for name, _ in found.collectives if name != EXPECTED})
    if others:
        faults.append(f"unexpected collectives: {', '.join(others)}; only means should travel")
    if found.cores > 1 and EXPECTED not in {name for name, _ in found.collectives}:
        faults.append("no all-reduce: the cores would train apart")
    return faults


def describe(found: Compiled) -> str:
    """The figures for a person."""
    peak, memory = flops.PEAKS[found.kind], MEMORY[found.kind]
    steps = EPOCHS * (PAIRS // found.batch_size)
    hours = [
        f"{steps * found.flops / (share * peak * found.cores) / 3600:.2f} h at {share:.0%}"
        for share in (0.2, 0.4, 0.6)
    ]
    names = [name for name, _ in found.collectives]
    counted = ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))
    rows = {
        "cores": f"{found.cores} × {found.kind}, {found.batch_size // found.cores} pairs each",
        "memory": f"{found.peak_bytes / GIB:.2f} of {memory / GIB:.0f} GiB a core at the peak",
        "work": f"{found.flops / 1e12:.2f} TFLOP a step, {found.flops / 1e9 / found.batch_size:.1f}"
        " GFLOP per pair",
        "collectives": counted or "none",
        "time": f"{EPOCHS} epochs × {PAIRS:,} pairs: {', '.join(hours)} of the peak",
        "compiling": f"{found.seconds:.0f} s",
    }
    return "\n".join(f"{name:12s} {value}" for name, value in rows.items())


def _first_lines(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
