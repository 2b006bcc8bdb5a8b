"""Plot the README's picture of a registration: python docs/plot_registration.py

Writes registration.png: two impressions of a synthetic finger, the second one twisted, registered
by the network that ships, whose training did not include this finger.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported

import cv2
import numpy as np

from model.__main__ import SHIPPED
from model.registration import plot
from model.registration.registrar import Registrar
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.generate import synthesize_master
from pipeline.synthesis.manner import HARD, PLAIN
from pipeline.synthesis.sensor import OPTICAL, synthesize_image
from pipeline.synthesis.touch import sample_touch

ADDRESS = (2, "synthetic/readme", 1)
SEED = 3
LEVELS = 18  # per colour channel, so that the file stays small


def main() -> None:
    """Write the picture into the folder of this file."""
    master, rng = synthesize_master(*ADDRESS), np.random.default_rng(SEED)
    images = []
    for manner in (PLAIN, HARD[0]):
        touch = sample_touch(rng, OPTICAL.placement, manner)
        images.append(synthesize_image(OPTICAL, *compute_contact(master, touch, rng), rng))
    registrar = Registrar(SHIPPED)
    a, b = [registrar.prepare(image, 500) for image in images]
    registration = registrar.register_impressions(a, b)
    path = Path(__file__).with_name("registration.png")
    plot.save_plot(images[0], images[1], registration, path, (a.foreground, b.foreground))
    step = 255 / (LEVELS - 1)
    levels = np.rint(np.asarray(cv2.imread(str(path))) / step)
    reduced = np.rint(levels * step).astype(np.uint8)
    cv2.imwrite(str(path), reduced, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
