"""The inputs of a registration besides the images: versions and the checkpoint, no source file."""

import subprocess
import sys
from pathlib import Path
from shutil import copytree

from model.registration import method_version
from shards.foundation.versions import library_versions

ROOT = Path(__file__).parents[3]
DESCRIBE = """
import sys
from pathlib import Path
from model.registration.method_version import describe_method
print(sorted(describe_method(Path(sys.argv[1])).items()))
"""


def test_method_is_its_version_the_libraries_and_the_checkpoint(tmp_path):
    checkpoint = tmp_path / "c.safetensors"
    checkpoint.write_bytes(b"")
    empty_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    expected = {"method": str(method_version.METHOD_VERSION), "checkpoint": empty_sha256}
    assert method_version.describe_method(checkpoint) == {**expected, **library_versions()}


def test_comment_in_a_source_file_changes_nothing(tmp_path):
    """In a copy of the sources: a comment at the end of each of them."""
    for room in ("model", "pipeline", "shards"):
        copytree(ROOT / room, tmp_path / room, ignore=lambda _, names: {"__pycache__"} & set(names))

    def describe():
        command = [sys.executable, "-c", DESCRIBE, "model/dense_reg.safetensors"]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout

    before = describe()
    for path in tmp_path.rglob("*.py"):
        path.write_text(path.read_text() + "# A comment.\n")
    assert describe() == before != b""
