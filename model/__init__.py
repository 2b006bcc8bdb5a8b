"""The dense registration network and what is done with it."""

import os

# Before anything imports numpy: its matrices are small here, and BLAS threads on them only wait
# for each other (14 times the processor time of one thread, measured on two busy cores).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
