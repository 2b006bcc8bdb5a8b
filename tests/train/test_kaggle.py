"""What an earlier session left is found by itself."""

import jax.numpy as jnp
import pytest
from training import make_set

from shards.foundation.errors import Misuse
from train import checkpoint, kaggle, state


def leave(run, step):
    checkpoint.save_latest(
        run, state.State({"a": jnp.ones(3)}, {}, jnp.int32(step)), {"step": step}
    )


def test_shards_of_an_earlier_session(tmp_path):
    here, root, said = tmp_path / "shards", tmp_path / "input", []
    assert (
        kaggle.find_shards(here, said.append, root) == here
    )  # nothing there: it is named as it was given
    (root / "other").mkdir(parents=True)
    (root / "other" / "manifest.json").write_text("{}")  # of something else
    earlier = root / "notebooks" / "me" / "first" / "data" / "shards"
    make_set(earlier)
    assert kaggle.find_shards(here, said.append, root) == earlier
    assert said == [f"{here}: no shard set here; taking the one in {earlier}"]
    make_set(root / "second")
    with pytest.raises(Misuse, match=r"several below .*first/data/shards"):
        kaggle.find_shards(here, said.append, root)
    make_set(here)
    assert kaggle.find_shards(here, said.append, root) == here
    assert len(said) == 1


def test_the_newest_run_goes_on(tmp_path):
    run, root = tmp_path / "run", tmp_path / "input"
    assert kaggle.find_checkpoint(run, "latest", root) == "latest"
    for name, step in (("first", 7), ("second", 30), ("third", 8)):
        leave(root / name / "checkpoints" / "dense_reg", step)
    found = kaggle.find_checkpoint(run, "latest", root)
    assert found == str(root / "second/checkpoints/dense_reg/latest")
    assert kaggle.find_checkpoint(run, None, root) is None  # only where it is asked for
    assert kaggle.find_checkpoint(run, "elsewhere", root) == "elsewhere"
    leave(run, 1)
    assert kaggle.find_checkpoint(run, "latest", root) == "latest"
