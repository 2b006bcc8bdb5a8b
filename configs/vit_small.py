"""The published network in small: all its parts, narrow and on 16 × 16 cells, for two CPU cores.

Command:  make shipped-today, then
          make train CONFIG=configs/vit_small.py OUT=runs/shipped/shards RUN=runs/vit_small
Time:     24 to 34 core-ms a training pair, so 1.7 to 2.4 core-hours for 250,000 pairs
Score:    after 250,000 pairs PCK@4 0.505 on 12,801 validation pairs; confirmed 0.773 / 0.732 on 60
          pairs each of FVC2002 DB1_B / DB3_B (docs/RESULTS.md)
"""

from configs import Config, shipped
from model.network.config import ModelConfig
from train.config import TrainConfig

CONFIG = Config(
    pipeline=shipped.CONFIG.pipeline,  # the same shards serve both
    model=ModelConfig(
        stride=8,
        contrast_window=6.0,
        rotations=1,
        stem_stride=4,
        stem_channels=16,
        stage_channels=(16, 24, 32, 48),
        blocks=2,
        width=32,
        layers=4,
        heads=1,  # half of a step's time goes into the attention maps, one for each head
        mlp=64,
        attention="softmax",
    ),
    train=TrainConfig(
        epochs=4,
        steps=31_250,  # 250,000 pairs
        batch_size=8,
        learning_rate=2e-3,
        warmup_fraction=0.05,
        checkpoint_every=1,
    ),
)
