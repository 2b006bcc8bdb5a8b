"""docs/API.md and the notebook run as a user runs them, with the package that the wheel holds."""

import json
import re
from pathlib import Path

import cv2
import installed
import numpy as np
import pytest
from training import make_set

from pipeline.imaging.warp import pixel_grid
from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from pipeline.synthesis.sensor import CAPACITIVE, OPTICAL

ROOT = Path(__file__).parents[1]
# What a notebook does with a cell: lines that begin with "!" are commands of the shell.
NOTEBOOK = """
import json, subprocess, sys
import matplotlib
matplotlib.use("agg")
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        source = "".join(cell["source"])
        if source.startswith("!"):
            subprocess.run(source[1:], shell=True, check=True)
        else:
            exec(compile(source, "cell", "exec"))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return installed.install(tmp_path_factory.mktemp("site"))


def write_images(folder):
    """Two impressions of one finger, one of another, and the true map of the first two."""
    masters = [synthesize_master(3, "api", finger) for finger in range(2)]
    a, b = [synthesize_impression(masters[0], 3, "api", 0, k, (OPTICAL,)) for k in range(2)]
    c = synthesize_impression(masters[1], 3, "api", 1, 0, (CAPACITIVE,))
    for name, each in {"a": a, "b": b, "c": c}.items():
        cv2.imwrite(str(folder / f"{name}.png"), each.image)
    truth = b.warp.inverse(a.warp(pixel_grid(*a.image.shape).reshape(-1, 2)))
    np.save(folder / "truth.npy", truth.reshape(*a.image.shape, 2))
    points = np.random.default_rng(0).uniform(90, 210, (20, 2))
    minutiae_b = np.c_[b.warp.inverse(a.warp(points)), np.zeros((20, 2))]
    np.savez(folder / "minutiae.npz", a=np.c_[points, np.zeros((20, 2))], b=minutiae_b)


def test_examples_of_the_document(site, tmp_path):
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs/API.md").read_text(), re.DOTALL)
    assert len(examples) >= 8
    assert max(len(example.splitlines()) for example in examples) <= 10
    write_images(tmp_path)
    make_set(tmp_path / "data/shards", train=20, val=0)
    checks = "assert pair.score > 0.9 and figures['confirmed'] > 0.5; print('all examples ran')"
    (tmp_path / "examples.py").write_text("\n".join([*examples, checks]))
    done = installed.run(site, "examples.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all examples ran\n")
    assert "missing.png" in done.stdout


def test_notebook_runs(site, tmp_path):
    notebook = ROOT / "docs/densereg.ipynb"
    (tmp_path / "run.py").write_text(NOTEBOOK)
    done = installed.run(site, "run.py", notebook, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"one finger: ([\d.]+)", done.stdout)[1]) > 0.9
    assert "trained 20 steps" in done.stdout
    assert len((tmp_path / "run/logs/metrics.jsonl").read_text().splitlines()) == 5


def test_notebook_is_valid_and_has_no_outputs():
    content = json.loads((ROOT / "docs/densereg.ipynb").read_text())
    assert content["nbformat"] == 4
    kinds = {"markdown": {"cell_type", "metadata", "source"}}
    kinds["code"] = kinds["markdown"] | {"execution_count", "outputs"}
    for cell in content["cells"]:
        assert set(cell) == kinds[cell["cell_type"]]
        assert not cell.get("outputs") and cell.get("execution_count") is None


def test_every_name_of_the_library_is_documented():
    text = (ROOT / "docs/API.md").read_text()
    from train import densereg

    for name in densereg.__all__:
        assert re.search(rf"\b{name}\b", text), name
