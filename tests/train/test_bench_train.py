"""The benchmark of the training loop: what it reports, and what it makes of what devices say."""

import bench_train
import pytest

TINY = """
from configs import Config
from model.network.config import ModelConfig
from pipeline.spec import PipelineSpec
from train.config import TrainConfig
from training import MODEL, SPEC

CONFIG = Config(
    pipeline=PipelineSpec(**SPEC), model=MODEL, train=TrainConfig(batch_size=8, log_every=1)
)
"""
GIB = 2**30


def test_reports_speed_utilisation_memory_and_hours(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    (row,), notes = bench_train.measure(tmp_path / "tiny.py", rounds=1)
    assert row.rate > 0 and len(row.ratios) == 1
    text = "\n".join(notes)
    assert f"speed: {row.rate:.4g} pairs/s, MFU " in text and "bare step" not in text
    assert f"100 epochs × 100,000 pairs in {1e7 / row.rate / 3600:.2f} h" in text
    assert "GiB per device for a step by the compiler (this device counts none in use)" in text


def test_memory_by_the_allocator_and_by_the_compiler():
    stats = {"peak_bytes_in_use": 3 * GIB, "bytes_limit": 100 * GIB, "num_allocs": 7}
    expected = "memory: 3 of 100 GiB in use at the peak, 2 GiB per device for a step"
    assert bench_train.describe_memory(stats, 2 * GIB).startswith(expected)
    without = bench_train.describe_memory({"peak_bytes_in_use": GIB}, GIB)
    assert without.startswith("memory: 1 GiB in use at the peak")


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_the_bare_step_is_as_much_faster_as_the_ratio_says(ratio):
    text = bench_train.describe_speed(1000.0, 0.2, ratio, 1e15)
    assert "speed: 1000 pairs/s, MFU 20.0% of 1e+03 TFLOP/s" in text
    assert f"bare step {1000 / ratio:.4g} pairs/s, MFU {0.2 / ratio:.1%}" in text
    assert "in 2.78 h" in text
