"""Library versions are read from package metadata, without an import of the libraries."""

import subprocess
import sys
from pathlib import Path

import cv2
import jax
import numpy as np

from shards.foundation import versions

ROOT = Path(__file__).parents[3]


def test_versions_are_those_of_the_imported_libraries():
    installed = versions.library_versions()
    assert installed["numpy"] == np.__version__
    assert installed["jax"] == jax.__version__
    assert installed["opencv"].startswith(cv2.__version__)


def test_unknown_distribution_is_not_installed(monkeypatch):
    monkeypatch.setitem(versions.DISTRIBUTIONS, "numpy", ("no-such-distribution",))
    assert versions.library_versions()["numpy"] == "not installed"


def test_no_library_is_imported():
    code = (
        "import sys; from shards.foundation.versions import library_versions; library_versions();"
        "assert not {'jax', 'jaxlib', 'numpy', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
