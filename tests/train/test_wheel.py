"""The wheel: what it holds, and that it works in a bare environment beside packages of any name."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from pipeline.synthesis.sensor import OPTICAL
from train import console
from train.command_names import NAMES, PACKAGES
from train.distribution import backend, package_tree

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
INFORMATION = f"denseregistration-{VERSION}.dist-info"
EXTRAS = ("grain", "array_record", "tensorboardX", "sklearn", "pyfastnoiselite")
UNREACHABLE = ("error sending request", "dns error", "Connection", "timed out", "client error")
LIBRARY = f"""
import sys

import densereg

heavy = {{"jax", "cv2", "matplotlib", "numpy", "click"}} & set(sys.modules)
assert not heavy, heavy
import importlib.util

import model
import numpy as np
import train

assert model.NAME == train.NAME == "decoy"
for name in {EXTRAS}:
    assert importlib.util.find_spec(name) is None, name
assert densereg.__version__ == "{VERSION}" and "site-packages" in densereg.__file__
pair = densereg.register("a.png", "b.png", 500, 500)
assert "orbax" not in sys.modules
with np.load("command.npz") as arrays:
    np.testing.assert_array_equal(arrays["map_ab"], pair.map_ab)
truth = densereg.evaluate_maps([pair.map_ab], truth=[pair.map_ab])
assert truth["pck@2"] == 1
try:
    densereg.open_shards("data")
except densereg.Misuse as misuse:
    print(misuse)
print(f"{{pair.score:.2f}}", densereg.foreground("a.png", 500).mean() > 0.1)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    return folder / backend.build_wheel(str(folder))


def test_same_files_give_the_same_bytes(wheel, tmp_path):
    assert (tmp_path / backend.build_wheel(str(tmp_path))).read_bytes() == wheel.read_bytes()


def test_wheel_holds_one_package(wheel):
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        assert {name.split("/")[0] for name in names} == {"densereg", INFORMATION}
        for name in (
            "densereg/__init__.py",
            "densereg/model/dense_reg.safetensors",
            "densereg/configs/paper.py",
            "densereg/shards/foundation/head.html",
            "densereg/shards/foundation/style.css",
            "densereg/train/evaluation/templates/fvc.html",
            "densereg/pipeline/realism/report.html",
        ):
            assert name in names
        assert not any("distribution" in name or "__pycache__" in name for name in names)
        metadata = content.read(f"{INFORMATION}/METADATA").decode()
    assert "Requires-Dist: wsq>=0.9; sys_platform == 'linux'" in metadata
    assert "Requires-Dist: grain>=0.2.18; extra == 'train'" in metadata
    assert re.search(r"Requires-Dist: jax\[tpu\]; \(sys_platform.*\) and extra == 'tpu'", metadata)


def test_no_import_and_no_message_names_a_package_of_the_repository():
    top = re.compile(rf"python -m ({'|'.join(package_tree.PACKAGES)})\b")
    for name, data in package_tree.files(ROOT).items():
        if not name.endswith(".py"):
            continue
        source = data.decode()
        assert not top.search(source), name
        for node in ast.walk(ast.parse(source)):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            roots = {(module or "").split(".")[0] for module in modules}
            assert not roots & set(package_tree.PACKAGES), name


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from model.a import (\n    b,\n)\n", "from densereg.model.a import (\n    b,\n)\n"),
        ("def f():\n    import configs\n", "def f():\n    from densereg import configs\n"),
        ("import train as t  # x\n", "from densereg import train as t  # x\n"),
        ("import models\nfrom training import a\n", "import models\nfrom training import a\n"),
        ('"from model import a"\n', '"from model import a"\n'),
        ('"python -m train run --x"\n', '"densereg train --x"\n'),
        ('"python -m pipeline show"; "python -m shards show"\n',
         '"densereg show-image"; "densereg show"\n'),
    ],
)  # fmt: skip
def test_rewritten_sources(source, expected):
    assert package_tree.rewrite(source, "x.py") == expected


@pytest.mark.parametrize("source", ["import model.registration\n", "import model, os\n"])
def test_an_import_that_binds_a_package_is_refused(source):
    with pytest.raises(ValueError, match=r"x\.py: line 1: expected from PACKAGE import MODULE"):
        package_tree.rewrite(source, "x.py")


def test_the_command_has_every_command_once():
    groups = {name: importlib.import_module(f"{name}.__main__").main for name in PACKAGES}
    commands = [(package, name) for package in groups for name in groups[package].commands]
    names = [NAMES.get(command, command[1]) for command in commands]
    assert sorted(names) == sorted(set(names)) == sorted(console.main.list_commands(None))
    assert set(NAMES) <= set(commands)


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Python of a bare environment with the wheel, and with decoys of two of our packages."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pytest.skip("no uv here")
    folder = tmp_path_factory.mktemp("bare")
    export = [uv, "export", "-q", "--frozen", "--no-emit-project", "--no-hashes"]
    pins = subprocess.run(export, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (folder / "pins.txt").write_text(pins)
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    install = [uv, "pip", "install", "-q", "--python", python, "-c", folder / "pins.txt", wheel]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode and any(reason in done.stderr for reason in UNREACHABLE):
        pytest.skip(f"PyPI cannot be reached: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    (packages,) = (folder / "venv/lib").glob("python*/site-packages")
    for name in ("model", "train"):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text('NAME = "decoy"\n')
    return python


def test_installed_in_a_bare_environment(python, tmp_path):
    """The command and the library register there, to the same map, and know their extras."""
    master = synthesize_master(3, "wheel", 0)
    for name, impression in (("a", 0), ("b", 1)):
        image = synthesize_impression(master, 3, "wheel", 0, impression, (OPTICAL,)).image
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    register = ["register", "a.png", "b.png", "--ppi-a", "500", "--ppi-b", "500"]
    for command in (
        [python.with_name("densereg"), "--help"],  # imports all commands
        [python.with_name("densereg"), *register, "--out", "command.npz"],
        [python, "-c", LIBRARY],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "install the extra 'shards'" in done.stdout and done.stdout.endswith(" True\n")
    with np.load(tmp_path / "command.npz") as arrays:
        assert arrays["score"] > 0.9
