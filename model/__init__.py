"""The dense registration network, and registration with it."""

import os

# Before numpy is imported: the matrices here are small, and BLAS threads spend their time waiting
# for each other (14 times the processor time of one thread, measured on two busy cores).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
