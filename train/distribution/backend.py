"""Build backend of this project (PEP 517): makes the wheel from the files of the repository.

It needs no other package, leaves no files in the repository, and gives the same bytes for the same
files.
"""

from __future__ import annotations

import base64
import hashlib
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from train.distribution import package_tree

ROOT = Path(__file__).parents[2]
TAG = "py3-none-any"
TIME = (1980, 1, 1, 0, 0, 0)  # of the files in the wheel: the earliest of the zip format
MODE = 0o100644 << 16  # regular files that all may read


class UnsupportedOperation(Exception):
    """The backend makes no source distribution (the name is PEP 517's)."""


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Write the wheel to a folder and return its name."""
    project = _project()
    stem = f"{project['name']}-{project['version']}"
    content = package_tree.files(ROOT)
    information = _information(project).items()
    content |= {f"{stem}.dist-info/{name}": data for name, data in information}
    record = f"{stem}.dist-info/RECORD"
    content[record] = _record(content, record)
    name = f"{stem}-{TAG}.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in content.items():
            entry = zipfile.ZipInfo(path, TIME)
            entry.external_attr, entry.compress_type = MODE, zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    return name


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    """Refuse: the repository itself is the source distribution."""
    raise UnsupportedOperation("no source distribution; build the wheel: make wheel")


def _project() -> dict[str, Any]:
    """Return the table [project] of pyproject.toml."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _information(project: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of the wheel's dist-info folder except RECORD."""
    scripts = "".join(f"{name} = {place}\n" for name, place in project["scripts"].items())
    return {
        "METADATA": _metadata(project).encode(),
        "WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {TAG}\n".encode(),
        "entry_points.txt": f"[console_scripts]\n{scripts}".encode(),
        "licenses/LICENSE": (ROOT / "LICENSE").read_bytes(),
    }


def _metadata(project: dict[str, Any]) -> str:
    """Return the metadata of the distribution, with the README as its description."""
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"Requires-Python: {project['requires-python']}",
        f"License-Expression: {project['license']}",
        "License-File: LICENSE",
        *(f"Requires-Dist: {requirement}" for requirement in project["dependencies"]),
    ]
    for extra, requirements in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f"Requires-Dist: {_of_extra(each, extra)}" for each in requirements]
    lines += ["Description-Content-Type: text/markdown", ""]
    return "\n".join(lines) + "\n" + (ROOT / project["readme"]).read_text()


def _of_extra(requirement: str, extra: str) -> str:
    """Return a requirement with the condition that an extra is asked for."""
    package, _, condition = requirement.partition(";")
    condition = f"({condition.strip()}) and " if condition else ""
    return f"{package}; {condition}extra == '{extra}'"


def _record(content: dict[str, bytes], own: str) -> bytes:
    """Return the list of the wheel's files with digest and size; itself without them."""
    lines = []
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(data)}\n")
    return "".join([*lines, f"{own},,\n"]).encode()
