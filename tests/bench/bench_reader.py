"""Speed of the reader of image files: python tests/bench/bench_reader.py

Processor time, as ratios to OpenCV's decoder of the same bytes, which checks nothing.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

import click
import cv2
import numpy as np
from alternate import compare, render, run_in_turn
from image_files import encode, encode_tiff
from prints import ridges

from pipeline.imaging.file import decode

READS = 100
# As FVC2002 DB1, 388×374 px, with the noise of a sensor; its files are TIFFs without compression.
PRINT = np.clip(
    ridges(374, 388)[0] + np.random.default_rng(0).normal(0, 6, (374, 388)), 0, 255
).astype(np.uint8)
FILES = {
    "TIFF": encode_tiff(PRINT),
    "TIFF, LZW": encode_tiff(PRINT, "tiff_lzw"),
    "PNG": encode(PRINT, "PNG"),
    "BMP": encode(PRINT, "BMP"),
    "JPEG": encode(PRINT, "JPEG", quality=95),
}
AIMS = {"TIFF": 0.9}  # at most 10 % more than the reader that only called OpenCV


def read(data):
    """Read a file READS times."""
    for _ in range(READS):
        decode(data, "x")


def decode_by_opencv(data):
    """Decode a file READS times."""
    for _ in range(READS):
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def measure():
    """The rows of the formats; no remarks."""
    rows = []
    for name, data in FILES.items():
        peer = f"OpenCV, {name}"
        actions = {f"read {name}": lambda d=data: read(d), peer: lambda d=data: decode_by_opencv(d)}
        spent = run_in_turn(actions)
        rows.append(compare(spent, READS, f"read {name}", peer, AIMS.get(name, 0.0)))
    return rows, []


if __name__ == "__main__":
    click.echo(render(measure()[0]))
