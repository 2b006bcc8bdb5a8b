"""Demonstration of all stages on synthetic fingers, in minutes on two CPU cores; needs no data.

Command:  make demo
Time:     8 to 13 min on two cores, most of them training
Score:    PCK@4 0.699 of the network alone, 0.989 after ridge alignment (docs/RESULTS.md)
"""

from configs import Config
from model.network.config import ModelConfig
from pipeline.spec import PipelineSpec
from train.config import TrainConfig

CONFIG = Config(
    pipeline=PipelineSpec(
        partitions=("synthetic/demo",),
        translation=20.0,
        elastic=3.0,
        different_impressions=1,
        pairs_per_shard=500,
    ),
    model=ModelConfig(
        stride=8,
        contrast_window=6.0,
        rotations=8,
        stem_stride=4,
        stem_channels=8,
        stage_channels=(4, 8, 8),
        blocks=2,
        width=64,
        layers=0,
        heads=4,
        mlp=128,
        attention="linear",
    ),
    train=TrainConfig(epochs=8, batch_size=4, learning_rate=4e-3, checkpoint_every=1),
)
