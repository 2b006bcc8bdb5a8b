"""The published settings (IFViT, arXiv 2404.08237, first module).

Command:  make shards && make train-tpu
Time:     not measured by us on a TPU; the paper names none
Score:    none published for this module alone
"""

from configs import Config
from model.config import ModelConfig
from pipeline.spec import PipelineSpec
from train.config import TrainConfig

CONFIG = Config(
    pipeline=PipelineSpec(
        partitions=(
            *(f"fvc2002/{name}" for name in ("db1_a", "db2_a", "db3_a")),
            *(f"sd301a/{device}" for device in "ABCEJKMN"),
            *(f"sd302/{device}" for device in "ABCDEFUVLM"),
            "sd300/roll",
            "sd300/plain",
        ),
    ),
    model=ModelConfig(),
    train=TrainConfig(),
)
