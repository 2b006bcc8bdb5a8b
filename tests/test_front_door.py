"""What the Makefile and the README promise beside what the commands' own tests hold."""

import re
from pathlib import Path

import numpy as np
from pairs import make_pairs

from pipeline.split import split_of
from shards.record import encode
from shards.store import write_shard

ROOT = Path(__file__).parents[1]


def test_the_demo_registers_a_finger_that_was_held_out():
    fingers = set(re.findall(r"(\d{5})_\d\.png", (ROOT / "Makefile").read_text()))
    assert len(fingers) == 1
    assert split_of(f"synthetic/demo/{fingers.pop()}") == "test"


def test_the_readme_reads_a_shard(tmp_path, monkeypatch):
    """The README's lines see what the record holds, with array_record and numpy alone."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    name = re.search(r'"(data/shards/.*arrayrecord)"', code)[1]
    pair = make_pairs(1, seed=5)[0]
    (tmp_path / name).parent.mkdir(parents=True)
    write_shard(tmp_path / name, [encode(pair)])
    monkeypatch.chdir(tmp_path)
    seen = {}
    exec(compile(code, "README.md", "exec"), seen)
    np.testing.assert_array_equal(seen["image_a"], pair.image_a)
    np.testing.assert_array_equal(seen["image_b"], pair.image_b)
    np.testing.assert_array_equal(seen["map_ab"], pair.map_ab)
