"""The files of the installed package `densereg`.

The packages of the repository have names such as `model` and `train`, which users have themselves.
The installed package holds them below one name: densereg/model, densereg/train and so on, and
train/densereg.py becomes densereg/__init__.py. Their imports of each other are rewritten, and so
are the commands in their messages: `python -m model register` becomes `densereg register`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from train.command_names import NAMES

NAME = "densereg"
PACKAGES = ("configs", "model", "pipeline", "shards", "train")
FACADE = "train/densereg.py"
MAIN = f'''"""The command `densereg` as python -m densereg."""

from {NAME}.train.console import main

if __name__ == "__main__":
    main(prog_name="{NAME}")
'''
NOT_INSTALLED = ("train/distribution/",)
COMMAND = re.compile(rf"python -m ({'|'.join(PACKAGES)})(?: ([a-z][a-z-]+))?")


def files(root: Path) -> dict[str, bytes]:
    """Return the content of the installed package's files by their path in a wheel.

    Args:
        root: the repository.

    Raises:
        ValueError: an import cannot be rewritten.
    """
    tree = {f"{NAME}/__main__.py": MAIN.encode()}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            name = path.relative_to(root).as_posix()
            hidden = any(part.startswith((".", "__pycache__")) for part in name.split("/"))
            if path.is_file() and not hidden and not name.startswith(NOT_INSTALLED):
                target = "__init__.py" if name == FACADE else name
                tree[f"{NAME}/{target}"] = _content(path, name)
    return tree


def _content(path: Path, name: str) -> bytes:
    """Return the content of a file as it is installed."""
    data = path.read_bytes()
    return rewrite(data.decode(), name).encode() if path.suffix == ".py" else data


def rewrite(source: str, name: str) -> str:
    """Return the source of a module with the imports and the commands of the installed package.

    Args:
        source: of a module of the repository.
        name: its path, for error messages.

    Raises:
        ValueError: it has an import that cannot be rewritten.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and _is_own(node.module):
            start, column = node.lineno - 1, node.col_offset
            rest = lines[start][column:].replace("from ", f"from {NAME}.", 1)
            lines[start] = lines[start][:column] + rest
        elif isinstance(node, ast.Import) and any(_is_own(alias.name) for alias in node.names):
            (alias,) = node.names if len(node.names) == 1 else (None,)
            if alias is None or "." in alias.name:
                raise ValueError(f"{name}: line {node.lineno}: expected from PACKAGE import MODULE")
            start, column = node.lineno - 1, node.col_offset
            lines[start] = lines[start][:column] + f"from {NAME} " + lines[start][column:]
    return COMMAND.sub(_installed_command, "".join(lines))


def _is_own(module: str | None) -> bool:
    """Return whether a module is of the repository."""
    return module is not None and module.split(".")[0] in PACKAGES


def _installed_command(match: re.Match[str]) -> str:
    """Return the installed command for `python -m PACKAGE COMMAND`."""
    package, command = match.groups()
    return NAME if command is None else f"{NAME} {NAMES.get((package, command), command)}"
