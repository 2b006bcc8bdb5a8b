"""Stand-ins for the generator of synthetic fingers that cost nothing."""

import numpy as np

from pipeline.imaging.warp import IDENTITY, Warp
from pipeline.synthesis import write
from pipeline.synthesis.generate import SyntheticImpression
from shards.foundation import pool


def grey_impression(master, seed, partition, finger, impression, styles):
    """Return a small grey image whose tone follows from the address."""
    rng = np.random.default_rng([seed, finger, impression, len(partition)])
    height, width = (extent // 4 for extent in styles[0].placement.size)
    image = np.full((height, width), rng.integers(256), np.uint8)
    return SyntheticImpression(image, Warp(IDENTITY), "none", {})


def use_grey_impressions(monkeypatch):
    """Write grey impressions without masters, in this process."""
    monkeypatch.setattr(pool, "cores", lambda: 1)
    monkeypatch.setattr(write, "synthesize_master", lambda *address: address)
    monkeypatch.setattr(write, "synthesize_impression", grey_impression)
