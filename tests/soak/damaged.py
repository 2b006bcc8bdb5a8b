"""Attacks on files: bytes change, and either the change is named or the result is right.

Each function yields, for every attack, None where it was held, or what happened.
"""

import contextlib
import io
import itertools
import operator
import random
import time

import cv2
import numpy as np
from flax import nnx
from prints import finger
from training import make_set

from model.network import tensor_file, weights
from model.network.config import ModelConfig
from model.network.net import create
from model.registration import register_table
from shards import store
from shards.foundation.errors import Fault
from shards.verify.verify import verify
from train import checkpoint
from train.evaluation.result_log import ResultLog

CONFIG = ModelConfig(
    image_size=32, stride=8, stem_channels=2, stage_channels=(2, 2, 2), blocks=1, width=8,
    layers=0, heads=2, mlp=8,
)  # fmt: skip


def change(rng, data):
    """Return the bytes with one fault: a flipped bit, a range of zeros, an end cut off or added."""
    changed = data
    while changed == data:  # zeros may replace zeros
        changed = _change_once(rng, data)
    return changed


def _change_once(rng, data):
    place, fault = rng.randrange(len(data)), rng.randrange(4)
    if fault == 0:
        return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
    if fault == 1:
        size = min(rng.randrange(1, 4096), len(data) - place)
        return data[:place] + bytes(size) + data[place + size :]
    return data[:place] if fault == 2 else data + rng.randbytes(rng.randrange(1, 4096))


def attempts(seconds):
    """Yield (number, random generator) for a time."""
    deadline = time.monotonic() + seconds
    for number in itertools.count():
        if time.monotonic() > deadline:
            return
        yield number, random.Random(number)


@contextlib.contextmanager
def changed(path, rng):
    """Change the bytes of a file in the block."""
    data = path.read_bytes()
    path.write_bytes(change(rng, data))
    try:
        yield
    finally:
        path.write_bytes(data)


def damage_shards(folder, seconds):
    """Damage a shard: the verification finds it, and no reader returns another record."""
    shards = make_set(folder / "set")
    store.write_sources(folder / "set", {"synthetic/test": {"synthetic/test/0_1": "0" * 64}})
    assert not list(verify(folder / "set", workers=1))
    records = {split: shards.read(split, range(shards.count(split))) for split in ("train", "val")}
    for number, rng in attempts(seconds):
        path = folder / "set" / rng.choice(shards.manifest.shards).name
        with changed(path, rng):
            found = list(verify(folder / "set", workers=1))
            unread = 0
            with contextlib.suppress(Fault):
                opened = store.open_set(folder / "set")
                for split, expected in records.items():
                    for k, record in enumerate(expected):
                        with contextlib.suppress(Fault):
                            unread += _decoded(opened, split, k) not in (None, record)
        held = found and not unread
        yield None if held else f"{number}: {path.name}: {len(found)} found, {unread} other records"


def _decoded(opened, split, k):
    """Return a record that its own checksum accepts; None for another one."""
    from shards import record

    data = opened.read(split, [k])[0]
    record.decode(data)
    return data


def write_network(path):
    """Write an untrained network."""
    arrays = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(CONFIG, 0))).items()}
    tensor_file.write(path, arrays, weights.metadata(CONFIG, weights.CropGeometry(288, 32, 4)))
    return path


def damage_networks(folder, seconds):
    """Damage a network's file: it is refused."""
    path = write_network(folder / "network.safetensors")
    for number, rng in attempts(seconds):
        with changed(path, rng):
            try:
                weights.load(path)
                yield f"{number}: loads"
            except Fault:
                yield None


def damage_checkpoints(folder, seconds):
    """Damage a file of a training's checkpoint: it is named."""
    import jax
    from training import MODEL, TRAIN

    from train import loop

    shards = make_set(folder / "set").directory
    loop.run(loop.Settings(shards, folder / "run", MODEL, TRAIN), jax.devices()[:1], str)
    latest = checkpoint.find(folder / "run", "latest")
    paths = sorted(path for path in latest.rglob("*") if path.is_file() and path.stat().st_size)
    for number, rng in attempts(seconds):
        path = rng.choice(paths)
        with changed(path, rng):
            damage = checkpoint.find_damage(latest)
        yield None if damage else f"{number}: {path.relative_to(latest)}: no damage found"


def damage_maps(folder, seconds):
    """Damage a map or the scores of a table: the same command restores all bytes, or refuses."""
    for k in range(3):
        cv2.imwrite(str(folder / f"{k}.png"), finger(k, 190, 180))
    rows = [f"{folder / f'{a}.png'},{folder / f'{b}.png'}" for a in range(3) for b in range(a)]
    table, out = folder / "pairs.csv", folder / "out"
    table.write_text("\n".join(["a,b", *rows]))
    network = write_network(folder / "network.safetensors")
    names = ("scores.csv", "000000.npz", "000001.npz", "000002.npz")

    def content():
        with contextlib.redirect_stderr(io.StringIO()):
            assert register_table.register_table(network, table, out, workers=1) == []
        return [(out / name).read_bytes() for name in names]

    expected = content()
    for number, rng in attempts(seconds):
        path = out / rng.choice(names)
        with changed(path, rng):
            try:
                held = content() == expected
            except Fault:
                held = path.name == "scores.csv"  # is no table of scores any more
        yield None if held else f"{number}: {path.name}: other results"
        content()


def damage_logs(folder, seconds):
    """Damage the log of an evaluation: what is left of its rows is true."""
    inputs, key = {"checkpoint": "1"}, operator.itemgetter("a")
    rows = [{"a": str(k), "scores": {"network": k / 7}, "fault": None} for k in range(20)]
    with ResultLog(folder, inputs, key) as log:
        for row in rows:
            log.append(row)
    for number, rng in attempts(seconds):
        with (
            changed(log.path, rng),
            contextlib.redirect_stderr(io.StringIO()),
            ResultLog(folder, inputs, key) as opened,
        ):
            false = [row for row in opened.rows if row not in rows]
        yield f"{number}: {false}" if false else None
