"""The cells of docs/kaggle.ipynb, on a simulated tree of Kaggle's folders."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from image_files import encode
from prints import ridges

ROOT = Path(__file__).parents[1]
CELLS = json.loads((ROOT / "docs/kaggle.ipynb").read_text())["cells"]
SMALL = "SET=pipeline.pairs_per_shard=20"
# Variables of the environment that make does not take for its own: of the system and of libraries
READ = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "JAX_", "XLA_", "XDG_", "OPENBLAS_", "OPENCV_")


@pytest.fixture
def kaggle(tmp_path):
    """/kaggle with a data set among the inputs as Kaggle mounts it, one image damaged."""
    folder = tmp_path / "input/datasets/owner/slug/versions/1/fvc2002/DB1_B"
    folder.mkdir(parents=True)
    for finger in (101, 102, 103):
        for impression in (1, 2):
            image = ridges(374, 388, core=(finger - 100, 10 * impression))[0]
            (folder / f"{finger}_{impression}.tif").write_bytes(encode(image, "TIFF"))
    (folder / "101_2.tif").write_bytes(b"damaged")
    for name in ("working", "temp"):
        (tmp_path / name).mkdir()
    return tmp_path


def make(kaggle, *arguments):
    """Run a target as in a cell, with the simulated folders."""
    environment = {key: value for key, value in os.environ.items() if key.startswith(READ)}
    return subprocess.run(
        ["make", *arguments, "-o", ".venv/.installed"],
        cwd=ROOT,
        env={**environment, "KAGGLE_ROOT": str(kaggle)},
        capture_output=True,
        text=True,
    )


def protect(folder):
    """Make a folder read-only, as Kaggle mounts inputs; root could still write to it."""
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


def contents(folder):
    """Size and time of the last change of everything in a folder."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def targets():
    """Arguments of each make command of the cells, in order."""
    code = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code")
    return [found.split() for found in re.findall(r"make ([^&;\n]*)", code)]


def test_the_cells_use_targets_that_exist():
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {words[0] for words in targets()} - {".venv/.installed"} <= known
    assert not re.search(r"^\s*(import|from) jax", str(CELLS), re.M)


def test_two_sessions(kaggle):
    """The second one starts from the first one's output alone."""
    shards, verify = next(w for w in targets() if w[0] == "shards"), ["verify"]
    data = kaggle / "input/datasets"
    protect(data)
    delivered = contents(data)
    built = make(kaggle, *shards, SMALL)
    assert built.returncode == 0, built.stderr
    assert (kaggle / "working/data/shards/manifest.json").is_file()
    assert "1 image left out" in built.stdout
    assert make(kaggle, *verify).returncode == 0

    output = kaggle / "input/notebooks/owner/first"
    shutil.copytree(kaggle / "working", output)
    shutil.rmtree(kaggle / "working")
    (kaggle / "working").mkdir()
    protect(output)
    delivered |= contents(output)
    again = make(kaggle, *shards, SMALL)
    assert again.returncode == 0, again.stderr
    assert f"{output}/data/shards: has these partitions" in again.stdout
    assert not list((kaggle / "working").iterdir())
    verified = make(kaggle, *verify)
    assert verified.returncode == 0, verified.stderr
    assert f"taking the one in {output}/data/shards" in verified.stderr
    assert contents(data) | contents(output) == delivered  # nothing was written to the inputs
