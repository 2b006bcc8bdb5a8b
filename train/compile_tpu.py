"""Compile the training step for TPU cores on a machine without TPU: memory, work, hours.

libtpu contains the compiler of the TPU, which needs no TPU; see `make check-tpu`.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import jax

from model.network.config import ModelConfig
from shards.foundation.errors import Fault, Misuse
from train import peak_speed, state, step
from train.config import TrainConfig

GIB = 2**30
# Memory per core (chip) in bytes, from the system architecture pages of Google Cloud TPU.
# Kinds of cores that the report can be made for, each with its peak in `peak_speed.PEAKS`.
MEMORY = {"TPU v5 lite": 16 * GIB, "TPU v4": 32 * GIB, "TPU v5": 95 * GIB, "TPU v6 lite": 32 * GIB}
# Memory bandwidth per core in bytes per second, from the same pages.
BANDWIDTH = {
    "TPU v5 lite": 819e9,
    "TPU v4": 1228e9,
    "TPU v5": 2765e9,
    "TPU v6 lite": 1640e9,
}
EXPECTED = "all-reduce"  # of gradients and metrics; every other exchange is a mistake
COLLECTIVE = re.compile(
    r"^\s*(?:ROOT )?%?[\w.-]+ = (.*?) "
    r"(all-reduce|all-gather|all-to-all|collective-permute|collective-broadcast|reduce-scatter"
    r"|ragged-all-to-all)(?:-start)?\(",
    re.MULTILINE,
)


@dataclass(frozen=True)
class PublishedTraining:
    """Size of the published training (IFViT, arXiv 2404.08237), for the estimate of hours."""

    epochs: int = 100
    pairs: int = 100_000
    peak_shares: tuple[float, ...] = (0.2, 0.4, 0.6)  # utilisation, for which hours are given


@dataclass(frozen=True)
class CompiledStep:
    """Facts about one compiled step of the whole mesh."""

    cores: int
    kind: str  # device kind of a core, as JAX names it
    batch_size: int  # pairs of the global batch
    peak_bytes: int  # largest memory in use on a core
    flops: float  # operations of the network's products, all cores together
    operand_bytes: float  # read and written by all instructions of a core, an upper bound
    collectives: list[tuple[str, str]]  # (name, type) of every exchange in the program
    seconds: float  # time of compilation


def compile_step(model: ModelConfig, config: TrainConfig, grid: int, topology: str) -> CompiledStep:
    """Compile the training step for a TPU topology.

    Args:
        model: Config of the network.
        config: Settings of the run.
        grid: Cells per side of the ground truth.
        topology: Such as "v5e:2x4".

    Raises:
        Misuse: libtpu is missing or does not know the topology, or memory and peak of its cores are
            not known here.
        Fault: The compiler refuses the program, mostly for want of memory.
    """
    devices = find_topology(topology)
    require_known_kind(devices[0].device_kind, topology)
    mesh = state.make_mesh(devices)
    step.check_batch(config.batch_size, config.accumulate, mesh.size)
    # Steps and scale are constants of the program: others need the same memory and operations.
    program = step.make_program(model, config, steps=1000, mesh=mesh, scale=1.0)
    batch = step.abstract_batch(model, config, grid, mesh)
    start = time.monotonic()
    try:
        compiled = program.train.lower(program.abstract, batch).compile()
    except Exception as error:  # memory that does not fit, or a kernel; their errors share no type
        raise Fault(f"{topology}: the step does not compile: {_first_lines(error)}") from error
    memory, text, cost = compiled.memory_analysis(), compiled.as_text(), compiled.cost_analysis()
    if memory is None or text is None or cost is None:
        raise Fault(f"{topology}: the compiler reports no memory, no program or no cost")
    return CompiledStep(
        cores=mesh.size,
        kind=mesh.devices.flat[0].device_kind,
        batch_size=config.batch_size,
        peak_bytes=memory.peak_memory_in_bytes,
        flops=program.flops(batch),
        operand_bytes=cost["bytes accessed"],
        collectives=find_collectives(text),
        seconds=time.monotonic() - start,
    )


def find_topology(name: str) -> list[jax.Device]:
    """Return the devices of a described TPU topology; no TPU is needed."""
    from jax.experimental import topologies

    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=name).devices)
    except Exception as error:  # a missing plugin and an unknown name come as several types
        raise Misuse(
            f"{name}: no TPU compiler for it here ({_first_lines(error)}); make check-tpu installs "
            "libtpu into .venv-tpu and takes TOPOLOGY=v5e:2x4 and the like"
        ) from error


def require_known_kind(kind: str, topology: str) -> None:
    """Raise Misuse unless memory and peak speed of this kind of core are known."""
    if kind not in MEMORY or kind not in peak_speed.PEAKS:
        raise Misuse(
            f"{topology}: its cores are {kind!r}, whose memory and peak speed are not known here;"
            f" expected a topology of {', '.join(sorted(MEMORY))}"
        )


def find_collectives(text: str) -> list[tuple[str, str]]:
    """List (name, type) of every instruction of an HLO text that exchanges data."""
    return [(name, shape) for shape, name in COLLECTIVE.findall(text)]


def find_faults(compiled: CompiledStep) -> list[str]:
    """List what is wrong with a step: too little memory, or exchanges other than means."""
    memory, faults = MEMORY[compiled.kind], []
    if compiled.peak_bytes > memory:
        faults.append(
            f"{compiled.peak_bytes / GIB:.2f} GiB do not fit into the {memory / GIB:.0f} GiB of a "
            "core; lower train.batch_size or raise train.accumulate"
        )
    others = sorted({name for name, _ in compiled.collectives if name != EXPECTED})
    if others:
        faults.append(
            f"unexpected collectives: {', '.join(others)}; only means should be exchanged"
        )
    if compiled.cores > 1 and EXPECTED not in {name for name, _ in compiled.collectives}:
        faults.append("no all-reduce: each core would train its own network")
    return faults


def describe(compiled: CompiledStep, training: PublishedTraining = PublishedTraining()) -> str:
    """Format the facts about a step as lines for the console."""
    memory = MEMORY[compiled.kind]
    steps = training.epochs * (training.pairs // compiled.batch_size)
    by_work, by_bytes = (steps * seconds / 3600 for seconds in seconds_of_a_step(compiled))
    hours = [f"{by_work / share:.2f} h at {share:.0%}" for share in training.peak_shares]
    names = [name for name, _ in compiled.collectives]
    counts = [f"{names.count(name)} {name}" for name in sorted(set(names))]
    pairs_per_core = compiled.batch_size // compiled.cores
    rows = {
        "cores": f"{compiled.cores} × {compiled.kind}, {pairs_per_core} pairs each",
        "memory": f"{compiled.peak_bytes / GIB:.2f} of {memory / GIB:.0f} GiB per core at the peak",
        "work": f"{compiled.flops / 1e12:.2f} TFLOP per step,"
        f" {compiled.flops / 1e9 / compiled.batch_size:.1f} GFLOP per pair",
        "operands": f"{compiled.operand_bytes / 1e9:.1f} GB read and written per core and step",
        "collectives": ", ".join(counts) or "none",
        "time": f"{training.epochs} epochs × {training.pairs:,} pairs: by work {by_work:.2f} h at"
        f" the peak ({', '.join(hours)}); by operands {by_bytes:.2f} h",
        "compiling": f"{compiled.seconds:.0f} s",
    }
    return "\n".join(f"{name:12s} {value}" for name, value in rows.items())


def seconds_of_a_step(compiled: CompiledStep) -> tuple[float, float]:
    """Return the time of a step by its work at the peak, and by its operands at full bandwidth."""
    work = compiled.flops / (peak_speed.PEAKS[compiled.kind] * compiled.cores)
    return work, compiled.operand_bytes / BANDWIDTH[compiled.kind]


def _first_lines(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
