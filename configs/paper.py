"""The published settings (IFViT, arXiv 2404.08237, first module).

Command:  make shards && make train-tpu
Time:     not measured on a TPU; the paper states none
Score:    none published for this module alone
"""

from configs import Config
from model.network.config import ModelConfig
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
        # The paper trains on 2,400 images of FVC2002's A sets, 8 × 240 of SD301a, 10 × 1,437 of
        # SD302 and 6,400 of MOLF: 25,090. SD300 replaces MOLF here. The paper validates and tests
        # on fingers of SD302 only; here also on the B sets of FVC2002 and on synthetic fingers.
        held_out=("sd302", "fvc2002/b", "synthetic"),
        limits=(("sd300", 3200), ("sd301a", 240), ("sd302", 1437)),
    ),
    model=ModelConfig(),
    train=TrainConfig(),
)
