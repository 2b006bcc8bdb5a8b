"""What all tests share: eight CPU devices, no silent rank promotion, quick compiling."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as model does, if it is imported in time
# Tests compile far more than they compute: half the compiling time, for programs twice as slow.
os.environ["XLA_FLAGS"] = " ".join(
    ("--xla_backend_optimization_level=0", os.environ.get("XLA_FLAGS", ""))
)

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def data(images, tmp_path):
    """A copy of the images of the module that a test may harm."""
    for path in images.rglob("*.tif"):
        copy = tmp_path / "data" / path.relative_to(images)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return tmp_path / "data"
