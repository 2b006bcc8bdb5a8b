"""The arrows between the rooms: the data flows one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("configs", "model", "pipeline", "shards", "train")
DOORS = ("__main__",)

# What each room may import of the others, beside what stands below all of them: errors, progress,
# and the sharing out of work among the processes of one machine. The pixels that the network sees
# and the geometry of warps are the pipeline's, whoever registers.
ALLOWED = {
    "shards": set(),
    "pipeline": {"shards"},
    "model": {"pipeline.preprocess", "pipeline.warp"},
    "train": {"shards", "model", "pipeline.preprocess", "pipeline.warp"},
    "configs": {"pipeline.spec", "model.config", "train.config"},
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


def allowed(name: str, room: str) -> bool:
    """Whether a file of `room` may import the project's `name`."""
    permitted = ALLOWED[room] | {room, "shards.errors", "shards.progress", "shards.pool"}
    return any(name == p or name.startswith(p + ".") for p in permitted)


@pytest.mark.parametrize("room", ROOMS)
def test_arrows(room):
    """A core imports only along the arrows; `configs` is for the doors alone."""
    found = []
    for path in sorted((ROOT / room).rglob("*.py")):
        if path.stem in DOORS or (path.parent.name == "configs" and path.stem != "__init__"):
            continue
        for name in imports(path):
            if name.split(".")[0] in ROOMS and not allowed(name, room):
                found.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not found


def only(stem: str, module: str) -> list[Path]:
    """Files that import `module` and are not train/`stem`.py."""
    return [
        path.relative_to(ROOT)
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if any(name.split(".")[0] == module for name in imports(path)) and path.stem != stem
    ]


def test_grain_has_one_room():
    assert only("loader", "grain") == []


def test_orbax_has_one_room():
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
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        for word in bad
        if word in path.read_text()
    ]
    assert not found
