"""The dense registration network, and registration with it."""

import os
from pathlib import Path

# Before numpy is imported: the matrices here are small, and BLAS threads spend their time waiting
# for each other (14 times the processor time of one thread, measured on two busy cores).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SHIPPED = Path(__file__).with_name("dense_reg.safetensors")  # the network that ships
