"""Checkpoints: exact, whole at every moment, refused where damaged or of another network."""

import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shards.foundation.errors import Fault, Misuse
from train import checkpoint, state


@pytest.fixture(scope="module")
def mesh():
    return state.make_mesh(jax.devices()[:2])


def make(mesh, step, width=4):
    """A state whose numbers tell its step."""
    params = {"net": {"kernel": jnp.full((3, width), step / 3), "bias": jnp.arange(3.0) + step}}
    saved = state.State(params, {"mu": params, "count": jnp.int32(step)}, jnp.int32(step))
    return jax.device_put(saved, state.replicated(mesh))


def assert_same(one, two):
    return jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, two))


def newest(run, mesh):
    """The step of RUN/latest, once its files, its JSON and its arrays agree."""
    path = checkpoint.find(run, "latest")
    meta = checkpoint.load_meta(path)
    assert assert_same(checkpoint.load_state(path, make(mesh, 0)), make(mesh, meta["step"]))
    return meta["step"]


def test_round_trip_is_exact(tmp_path, mesh):
    meta = {"step": 7, "config": {"a": 0.1, "b": [1, None]}, "journal": {"sum": 1 / 3}}
    checkpoint.save(tmp_path / "c", make(mesh, 7), meta)
    result = checkpoint.load_meta(tmp_path / "c")
    assert {key: result[key] for key in meta} == meta
    restored = checkpoint.load_state(tmp_path / "c", make(mesh, 0))
    assert assert_same(restored, make(mesh, 7))
    assert jax.tree.structure(restored) == jax.tree.structure(make(mesh, 7))


def test_restores_onto_other_devices(tmp_path, mesh):
    checkpoint.save(tmp_path / "c", make(mesh, 7), {"step": 7})
    other = state.make_mesh(jax.devices()[3:6])
    restored = checkpoint.load_state(tmp_path / "c", make(other, 0))
    assert assert_same(jax.device_get(restored), jax.device_get(make(mesh, 7)))
    assert restored.params["net"]["kernel"].sharding == state.replicated(other)


def test_parameters_by_name(tmp_path, mesh):
    checkpoint.save(tmp_path / "c", make(mesh, 7), {"step": 7})
    result = checkpoint.load_parameters(tmp_path / "c")
    assert result.keys() == {"net.kernel", "net.bias"}
    np.testing.assert_array_equal(result["net.bias"], [7, 8, 9])


def test_latest_rolls(tmp_path, mesh):
    for step in (1, 2, 3):
        checkpoint.save_latest(tmp_path, make(mesh, step), {"step": step})
        assert newest(tmp_path, mesh) == step
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "latest.previous"]
    assert checkpoint.load_meta(tmp_path / "latest.previous")["step"] == 2


class Killed(BaseException):
    """The process ends here; nothing may catch it."""


def kill_at(monkeypatch, moment):
    """End the process at the call number `moment` of those that change names on the disk."""
    calls = 0

    def count(original, half):
        def counted(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == moment:
                half(*arguments)
                raise Killed
            return original(*arguments, **options)

        return counted

    def halfway(folder, **_):
        for file in sorted(Path(folder).rglob("*"))[::2]:
            file.unlink() if file.is_file() else None

    monkeypatch.setattr(Path, "rename", count(Path.rename, lambda *_: None))
    monkeypatch.setattr(Path, "write_text", count(Path.write_text, lambda *_: None))
    monkeypatch.setattr(shutil, "rmtree", count(shutil.rmtree, halfway))
    monkeypatch.setattr(checkpoint, "sync", count(checkpoint.sync, lambda *_: None))


def test_a_kill_at_any_moment_leaves_a_whole_latest(tmp_path, mesh, monkeypatch):
    before = tmp_path / "before"
    for step in (1, 2):
        checkpoint.save_latest(before, make(mesh, step), {"step": step})
    result = set()
    for moment in range(1, 100):
        run = tmp_path / str(moment)
        shutil.copytree(before, run)
        with monkeypatch.context() as patch:
            kill_at(patch, moment)
            try:
                checkpoint.save_latest(run, make(mesh, 3), {"step": 3})
            except Killed:
                pass
            else:
                break
        step = newest(run, mesh)  # by a reader that may change nothing
        checkpoint.settle(run)
        assert newest(run, mesh) in (step, 3) and (run / "latest").is_dir()
        result.add((step, newest(run, mesh)))
        checkpoint.save_latest(run, make(mesh, 4), {"step": 4})
        assert newest(run, mesh) == 4
        assert sorted(p.name for p in run.iterdir()) == ["latest", "latest.previous"]
    assert moment > 6 and result == {(2, 2), (2, 3), (3, 3)}


def test_settling_takes_away_nothing_but_what_it_wrote(tmp_path):
    ours = ("latest.next.partial", "latest.previous.gone", "dense_reg_epoch_5.partial.gone")
    orbax = "dense_reg_epoch_5.partial.orbax-checkpoint-tmp-1"
    theirs = ("data.partial", "photos.gone", "my.partial.notes", "latest_old.gone")
    for name in (*ours, orbax, *theirs):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.partial.txt").write_text("a file")
    checkpoint.settle(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {*theirs, "notes.partial.txt"}


FULL_DISK = """
import resource, sys
from pathlib import Path
import jax.numpy as jnp
from shards.foundation.errors import Fault
from train import checkpoint, state

run = Path(sys.argv[1])
made = state.State({"a": jnp.ones((3, 4))}, {}, jnp.int32(1))
checkpoint.save_latest(run, made, {"step": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))  # no file may grow beyond
try:
    checkpoint.save_latest(run, made, {"step": 2})
except Fault as fault:
    print(fault)
print([path.name for path in run.iterdir()], checkpoint.load_meta(run / "latest")["step"])
"""


def test_full_disk_is_said_and_the_checkpoint_before_survives(tmp_path):
    """In a process of its own, since orbax leaves threads behind that failed."""
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / "run"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "latest.next: the checkpoint could not be written" in result.stdout
    assert result.stdout.endswith("['latest'] 1\n")


@pytest.mark.parametrize("way", ["flip", "cut", "remove", "add"])
def test_damage_is_named_and_the_one_before_offered(tmp_path, mesh, way):
    for step in (1, 2):
        checkpoint.save_latest(tmp_path, make(mesh, step), {"step": step})
    victims = [p for p in sorted((tmp_path / "latest").rglob("*")) if p.is_file()]
    assert len(victims) > 5
    for victim in victims:
        whole = victim.read_bytes()
        if way == "flip":
            middle = len(whole) // 2
            victim.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        elif way == "cut":
            victim.write_bytes(whole[:-1])
        elif way == "remove":
            victim.unlink()
        else:
            (victim.parent / "stray").write_bytes(whole)
        with pytest.raises(Fault, match="latest: the checkpoint is damaged") as fault:
            checkpoint.load_meta(checkpoint.find(tmp_path, "latest"))
        assert f"--resume_from {tmp_path / 'latest.previous'}" in str(fault.value)
        (victim.parent / "stray").unlink(missing_ok=True)
        victim.write_bytes(whole)
    assert newest(tmp_path, mesh) == 2


def test_another_network_is_refused(tmp_path, mesh):
    checkpoint.save(tmp_path / "c", make(mesh, 1), {"step": 1})
    with pytest.raises(Fault, match="of another network") as fault:
        checkpoint.load_state(tmp_path / "c", make(mesh, 0, width=5))
    assert "params.net.kernel ['float32', [3, 4]] in the checkpoint" in str(fault.value)


def test_format_of_another_version_is_refused(tmp_path, mesh):
    checkpoint.save(tmp_path / "c", make(mesh, 1), {"step": 1, "format": 99})
    with pytest.raises(Fault, match="checkpoint format 99, this program reads 1"):
        checkpoint.load_meta(tmp_path / "c")


def test_what_is_not_there(tmp_path, mesh):
    assert checkpoint.find(tmp_path, None) is None
    with pytest.raises(Misuse, match=r"latest: no checkpoint here; those beside it: none"):
        checkpoint.find(tmp_path, "latest")
    checkpoint.save(checkpoint.epoch_path(tmp_path, 5), make(mesh, 1), {"step": 1})
    with pytest.raises(Misuse, match=r"those beside it: dense_reg_epoch_5"):
        checkpoint.find(tmp_path, str(tmp_path / "dense_reg_epoch_6"))
    assert checkpoint.find(tmp_path, str(tmp_path / "dense_reg_epoch_5")).name.endswith("_5")


def test_differences():
    saved, now = {"a.x": 1, "a.y": 2, "a.z": 3}, {"a.x": 1, "a.y": 5, "b": None}
    assert checkpoint.differences(saved, now, ("a.z",)) == ["a.y 2 in the checkpoint, 5 now"]
    assert checkpoint.differences(saved, now, ("a.y",)) == ["a.z 3 in the checkpoint, 'absent' now"]


@pytest.mark.parametrize("name", ["lr=[1e-3]", "a\\b", "{x}*?", "ä ö"])
def test_special_characters_in_the_path(tmp_path, mesh, name):
    """Tensorstore takes brackets and backslashes in a path for a pattern."""
    run = tmp_path / name
    checkpoint.save_latest(run, make(mesh, 3), {"step": 3})
    checkpoint.save_latest(run, make(mesh, 4), {"step": 4})
    assert newest(run, mesh) == 4
    checkpoint.save(run / "dense_reg_epoch_1", make(mesh, 4), {"step": 4})
    shutil.move(run / "dense_reg_epoch_1", run / "copy[1]")
    restored = checkpoint.load_state(run / "copy[1]", make(mesh, 0))
    assert assert_same(restored, make(mesh, 4))


def test_a_save_that_reads_back_differently_is_no_save(tmp_path, mesh, monkeypatch):
    checkpoint.save_latest(tmp_path, make(mesh, 3), {"step": 3})
    restore = checkpoint._restore

    def restore_changed(path, shapes):
        arrays = restore(path, shapes)
        name = next(iter(arrays))
        return arrays | {name: arrays[name] + 1}

    monkeypatch.setattr(checkpoint, "_restore", restore_changed)
    with pytest.raises(Fault, match=r"could not be written: .* was read back with another value"):
        checkpoint.save_latest(tmp_path, make(mesh, 4), {"step": 4})
    monkeypatch.undo()
    assert newest(tmp_path, mesh) == 3
