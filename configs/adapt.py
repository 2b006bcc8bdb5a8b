"""The network that ships, fine-tuned on unlabelled prints of a sensor: an experiment.

Command:  make adapt DATA=prints PPI=500
Time:     10 to 20 core-minutes of an AMD EPYC, shards and calibration included
Score:    no gain on FVC2004 DB1_B or DB4_B: docs/RESULTS.md, "Does a network adapt to a sensor?"
"""

from dataclasses import replace

from configs import Config, shipped

CONFIG = Config(
    # beside the copies of the prints: synthetic fingers, so that the network forgets nothing
    pipeline=replace(
        shipped.CONFIG.pipeline,
        partitions=("synthetic/adapt",),
        fingers=60,
        impressions=8,
        finger_seed=11,
    ),
    model=shipped.CONFIG.model,
    train=replace(
        shipped.CONFIG.train,
        epochs=100,
        steps=2000,  # 16,000 pairs
        batch_size=8,
        learning_rate=5e-4,  # a sixth of that from random parameters; chosen
        checkpoint_every=100,
    ),
)
