"""Pieces of one build at the same time, as a batch system starts them.

One piece runs between two steps of another, to its end or until it is killed at its first shard.
"""

import dataclasses
import shutil

import cv2
import pytest
from prints import finger
from set_files import content, two_databases

import configs
from pipeline import catalog, plan
from pipeline.building import build as builder
from pipeline.building import state
from shards import manifest, store
from shards.foundation.errors import Fault
from shards.verify.verify import verify

SPEC = dataclasses.replace(configs.load().pipeline, pairs_per_shard=8)
PARTITIONS = ("fvc2002/db1_b", "fvc2002/db3_b")
STEPS = {
    "before it reads the folder": (builder.reconcile, "refuse_linked_folders"),
    "before it checks": (builder, "run_tasks"),
    "before it withdraws": (builder, "_check_space"),
    "while it builds": (builder.worker, "build_shard"),
    "before it finishes": (builder, "_refuse_bad_images"),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two databases of ten fingers."""
    return two_databases(tmp_path_factory.mktemp("data"))


def build_set(root, out, number=0, pieces=1):
    selection = catalog.discover([root]).select(PARTITIONS)
    options = builder.BuildOptions(workers=1, piece=(number, pieces))
    return builder.build(SPEC, selection, out, options)


@pytest.fixture(scope="module")
def before(images, tmp_path_factory):
    """A finished set."""
    out = tmp_path_factory.mktemp("before")
    build_set(images, out)
    return out


@pytest.fixture(scope="module")
def changed(images, before, tmp_path_factory):
    """Images with two changed ones: in DB1, of piece 0, and in DB3, of piece 1."""
    root = shutil.copytree(images, tmp_path_factory.mktemp("changed") / "data")
    shards = plan.plan_shards(catalog.discover([root]).select(PARTITIONS), SPEC)
    for number, partition in enumerate(PARTITIONS):
        shard = next(s for s in shards[number::2] if s.partition == partition)
        cv2.imwrite(str(shard.images[0].path), finger([7, number], 190, 180))
    return root


@pytest.fixture(scope="module")
def after(changed, tmp_path_factory):
    """The files of the set built from the changed images."""
    out = tmp_path_factory.mktemp("after")
    build_set(changed, out)
    return content(out)


def call_at_step(monkeypatch, step, act):
    """Call `act` once, when a build comes to `step`."""
    module, name = STEPS[step]
    real, due = getattr(module, name), [act]

    def act_first(*arguments, **options):
        if due:
            due.pop()()
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, act_first)


def listed(out):
    """The partitions in the manifest, if there is one; checks that the manifest is right."""
    if not (out / manifest.FILE).exists():
        return set()
    assert [f for f in verify(out, "full", 1) if "is not in the manifest" not in f.message] == []
    return set(store.load_manifest(out).partitions)


@pytest.mark.parametrize("notes", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_partition_of_a_killed_piece_is_not_listed(
    before, changed, after, tmp_path, monkeypatch, step, notes
):
    """Piece 1 is killed within piece 0; until it is run again its partition is missing."""
    out = shutil.copytree(before, tmp_path / "set", ignore=None if notes else ignore_notes)

    def crash(*_):
        assert PARTITIONS[1] not in listed(out)
        raise KeyboardInterrupt

    def other():
        with monkeypatch.context() as patch, pytest.raises(Fault, match="stopped"):
            patch.setattr(builder.worker, "build_shard", crash)
            build_set(changed, out, 1, 2)

    call_at_step(monkeypatch, step, other)
    build_set(changed, out, 0, 2)
    assert PARTITIONS[1] not in listed(out)
    build_set(changed, out, 1, 2)
    assert listed(out) == set(PARTITIONS)
    assert content(out) == after


def ignore_notes(folder, names):
    return {state.FOLDER} & set(names)


@pytest.mark.parametrize("step", STEPS)
def test_simultaneous_pieces_give_the_bytes_of_one_build(
    before, changed, after, tmp_path, monkeypatch, step
):
    out = shutil.copytree(before, tmp_path / "set")

    def other():
        build_set(changed, out, 1, 2)
        assert step != "while it builds" or PARTITIONS[0] not in listed(out)

    call_at_step(monkeypatch, step, other)
    build_set(changed, out, 0, 2)
    assert listed(out) == set(PARTITIONS)
    assert content(out) == after
