"""A shard set has the same bytes for all processors and their instructions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from set_files import content, two_databases

ROOT = Path(__file__).parents[3]
# What the libraries choose by the processor, set as on another one. `make test-processors` runs the
# whole suite under such settings.
PROCESSORS = {
    "generic OpenBLAS": {"OPENBLAS_CORETYPE": "Prescott"},
    "OpenCV without AVX-512": {"OPENCV_CPU_DISABLE": "AVX512-SKX"},
    "NumPy without AVX2": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return two_databases(tmp_path_factory.mktemp("data"))


def build(images, out, settings=None):
    """The files of the set that a process with these environment variables builds."""
    command = [sys.executable, "-m", "pipeline", "build", "--data", images, "--out", out]
    options = ["--partition", "fvc2002/db1_b,fvc2002/db3_b", "--set", "pipeline.elastic=3.0"]
    ran = subprocess.run(
        [*map(str, command), *options, "--workers", "1"],
        cwd=ROOT,
        env={**os.environ, **(settings or {})},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return content(out)


@pytest.fixture(scope="module")
def expected(images, tmp_path_factory):
    return build(images, tmp_path_factory.mktemp("expected"))


@pytest.mark.parametrize("processor", PROCESSORS)
def test_shards_are_the_same_on_another_processor(images, expected, tmp_path, processor):
    files = build(images, tmp_path, PROCESSORS[processor])
    assert sum(name.endswith(".arrayrecord") for name in files) >= 2
    assert files.keys() == expected.keys()
    assert [name for name in files if files[name] != expected[name]] == []
