"""What all tests share."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
