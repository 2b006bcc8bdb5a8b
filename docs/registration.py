"""Draws the README's picture of a registration: python docs/registration.py

registration.png: two touches of a synthetic finger, the second one twisted, by the network that
ships, which never saw the finger.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

import model  # noqa: F401, I001 - says how many threads BLAS has, before numpy is there
import cv2
import numpy as np

from model.registration import plot
from model.__main__ import SHIPPED
from model.registration.registrar import Registrar
from pipeline.synthesis.generate import synthesize_master
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.manner import HARD, PLAIN
from pipeline.synthesis.touch import sample_touch
from pipeline.synthesis.sensor import OPTICAL, synthesize_image

ADDRESS = (2, "synthetic/readme", 1)
SEED = 3
GREYS = 18  # kept of each colour, so that the file stays small


def main() -> None:
    """Write the picture beside this file."""
    master, rng = synthesize_master(*ADDRESS), np.random.default_rng(SEED)
    images = []
    for manner in (PLAIN, HARD[0]):
        touch = sample_touch(rng, OPTICAL.placement, manner)
        images.append(synthesize_image(OPTICAL, *compute_contact(master, touch, rng), rng))
    found = Registrar(SHIPPED).register(images[0], 500, images[1], 500)
    path = Path(__file__).with_name("registration.png")
    plot.save_plot(images[0], images[1], found, path)
    step = 255 / (GREYS - 1)
    few = np.rint(np.rint(np.asarray(cv2.imread(str(path))) / step) * step).astype(np.uint8)
    cv2.imwrite(str(path), few, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
