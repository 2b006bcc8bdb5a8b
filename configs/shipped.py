"""The network that ships, trained on synthetic fingers only, in one to two hours on two CPU cores.

Command:  make shipped-today; make shipped for the network that ships, by its commit and lock
Time:     79 min for training, 7 for fingers and shards, on two cores beside other work
Score:    confirmed 0.776 / 0.773 on 280 pairs each of FVC2002 DB1_B / DB3_B on 2026-11-23; the one
          that ships, of an earlier generator and two epochs, 0.774 / 0.774 on that day, and 0.789 /
          0.780 with METHOD_VERSION 17 (docs/LOG.md, docs/RESULTS.md)
"""

from configs import Config
from model.network.config import ModelConfig
from pipeline.spec import PipelineSpec
from train.config import TrainConfig

CONFIG = Config(
    pipeline=PipelineSpec(
        partitions=("synthetic/shipped",),
        translation=24.0,
        elastic=4.0,
        stretch=0.1,
        different_impressions=7,
    ),
    model=ModelConfig(
        stride=8,
        contrast_window=6.0,
        rotations=8,
        stem_stride=4,
        stem_channels=8,
        stage_channels=(4, 8, 16),
        blocks=2,
        width=96,
        layers=0,
        heads=4,
        mlp=128,
        attention="linear",
    ),
    train=TrainConfig(
        epochs=3, batch_size=4, learning_rate=3e-3, warmup_fraction=0.02, checkpoint_every=1
    ),
)
