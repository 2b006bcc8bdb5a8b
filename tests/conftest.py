"""What all tests share: eight CPU devices, no silent rank promotion, quick compiling."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests compile far more than they compute: half the compiling time, for programs twice as slow.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
