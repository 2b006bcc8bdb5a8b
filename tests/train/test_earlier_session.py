"""Shard sets and checkpoints of an earlier Kaggle session."""

import jax.numpy as jnp
import pytest
from training import make_set

from shards import store
from shards.foundation import kaggle
from shards.foundation.errors import Misuse
from train import checkpoint, earlier_session, state


def find_checkpoint(run, resume_from, root):
    return earlier_session.find_checkpoint(run, resume_from, lambda message: None, root)


def leave(run, step):
    checkpoint.save_latest(
        run, state.State({"a": jnp.ones(3)}, {}, jnp.int32(step)), {"step": step}
    )


def test_shards_of_an_earlier_session(tmp_path):
    directory, root, messages = tmp_path / "shards", tmp_path / "input", []
    assert (
        store.find_set(directory, messages.append, root) == directory
    )  # there is none: the folder that the user named
    (root / "other").mkdir(parents=True)
    (root / "other" / "manifest.json").write_text("{}")  # of something else
    earlier = root / "notebooks" / "me" / "first" / "data" / "shards"
    make_set(earlier)
    assert store.find_set(directory, messages.append, root) == earlier
    assert messages == [f"{directory}: no shard set here; taking the one in {earlier}"]
    make_set(root / "second")
    with pytest.raises(Misuse, match=r"several below .*first/data/shards"):
        store.find_set(directory, messages.append, root)
    make_set(directory)
    assert store.find_set(directory, messages.append, root) == directory
    assert len(messages) == 1


def test_the_newest_run_goes_on(tmp_path):
    run, root = tmp_path / "run", tmp_path / "input"
    assert find_checkpoint(run, "latest", root) == "latest"
    for name, step in (("first", 7), ("second", 30), ("third", 8)):
        leave(root / name / "checkpoints" / "dense_reg", step)
    newest = find_checkpoint(run, "latest", root)
    assert newest == str(root / "second/checkpoints/dense_reg/latest")
    assert find_checkpoint(run, None, root) is None  # only where it is asked for
    assert find_checkpoint(run, "elsewhere", root) == "elsewhere"
    leave(run, 1)
    assert find_checkpoint(run, "latest", root) == "latest"


def test_folders_that_are_too_deep_are_said(tmp_path):
    make_set(tmp_path / "a/b/c/set")
    messages = []
    limits = kaggle.SearchParameters(depth=3)
    assert kaggle.find_files("manifest.json", messages.append, tmp_path, limits) == []
    assert messages == [f"{tmp_path / 'a/b/c'}: deeper folders are not searched; name them instead"]
    assert kaggle.find_files("manifest.json", messages.append, tmp_path) == [
        tmp_path / "a/b/c/set/manifest.json"
    ]
    assert len(messages) == 1
