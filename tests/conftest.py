"""Settings and fixtures of all tests: eight CPU devices, no rank promotion, fast compilation."""

import os
import signal
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the commands do
# Tests compile more than they compute: this halves the compilation time; programs run half as fast.
os.environ["XLA_FLAGS"] = " ".join(
    ("--xla_backend_optimization_level=0", os.environ.get("XLA_FLAGS", ""))
)
# Compiled programs stay from one run of the tests to the next, but out of the user's folder. One
# folder per worker: JAX writes a program while others read it. Packages are not downloaded again.
os.environ.setdefault(
    "UV_CACHE_DIR", str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "uv"))
)
os.environ["XDG_CACHE_HOME"] = str(
    Path(__file__).parents[1] / ".pytest_cache" / os.environ.get("PYTEST_XDIST_WORKER", "alone")
)

import jax
import pytest
from hypothesis import settings

# A shell without job control starts background processes with SIGINT ignored, which commands under
# test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
settings.register_profile("any load", deadline=None)  # a busy machine fails no example by its time
settings.load_profile("any load")


@pytest.fixture
def data(images, tmp_path):
    """A copy of the module's images that a test may change."""
    for path in images.rglob("*.tif"):
        copy = tmp_path / "data" / path.relative_to(images)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return tmp_path / "data"
