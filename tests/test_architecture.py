"""Which package may import which: data flow in one direction."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("configs", "model", "pipeline", "shards", "train")
COMMANDS = ("__main__",)

# Imports that each package may have besides itself and shards.foundation. pipeline.imaging has the
# crops and the warps of training and of registration.
ALLOWED = {
    "shards": set(),
    "pipeline": {"shards"},
    "model": {"pipeline.imaging"},
    "train": {"shards", "model", "pipeline.imaging"},
    "configs": {"pipeline.spec", "model.network.config", "train.config"},
}


def imports(path: Path) -> set[str]:
    """Dotted names that the file at `path` imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def allowed(name: str, package: str) -> bool:
    """Whether a file of `package` may import the project's `name`."""
    permitted = ALLOWED[package] | {package, "shards.foundation"}
    return any(name == p or name.startswith(p + ".") for p in permitted)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_are_allowed(package):
    """A package imports only what ALLOWED says; only commands (`__main__`) import `configs`."""
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        if path.stem in COMMANDS or (path.parent.name == "configs" and path.stem != "__init__"):
            continue
        for name in imports(path):
            if name.split(".")[0] in PACKAGES and not allowed(name, package):
                found.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not found


def only(stem: str, module: str) -> list[Path]:
    """Files that import `module` and are not train/`stem`.py."""
    return [
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if any(name.split(".")[0] == module for name in imports(path)) and path.stem != stem
    ]


def test_only_the_loader_imports_grain():
    assert only("loader", "grain") == []


def test_only_checkpoint_imports_orbax():
    assert only("checkpoint", "orbax") == []


@pytest.mark.parametrize("module", ["pipeline.__main__", "shards.__main__", "configs"])
def test_data_side_loads_no_jax(module):
    """Workers of the build are started afresh: jax would cost each of them a second and 150 MB."""
    code = f"import sys, {module}; sys.exit('jax' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_no_pickle_is_loaded():
    """Checkpoints and shards may be hostile: nothing may call pickle's loaders."""
    bad = ("pickle.load", "pickle.loads", "allow_pickle=True", "joblib.load", "torch.load")
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for word in bad
        if word in path.read_text()
    ]
    assert not found


def test_shards_load_no_configs():
    """The shard set stands alone: its command needs no configuration."""
    code = "import sys, shards.__main__; sys.exit('configs' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_foundation_imports_nothing_above_it():
    """What every command needs rests on nothing of the project but itself."""
    above = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "shards" / "foundation").glob("*.py"))
        for name in sorted(imports(path))
        if name.split(".")[0] in PACKAGES and not name.startswith("shards.foundation")
    ]
    assert not above


def test_test_files_have_different_names():
    """pytest imports a test file by its name alone, so two files of one name stop the whole run."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
