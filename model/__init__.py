"""The dense registration network, and registration with it."""

from pathlib import Path

SHIPPED = Path(__file__).with_name("dense_reg.safetensors")  # the network that ships
