"""The log of results: damaged lines, arrays as text."""

import numpy as np
import pytest

from shards.foundation.errors import Fault
from train.evaluation import result_log
from train.evaluation.result_log import ResultLog

INPUTS = {"checkpoint_sha256": "1"}


def test_damaged_log_is_reported(tmp_path):
    (tmp_path / result_log.FILE).write_bytes(b"[1]\n")
    with pytest.raises(Fault, match=r"answers\.jsonl: has a line that is no row"):
        ResultLog(tmp_path / result_log.FILE, INPUTS)
    (tmp_path / result_log.FILE).write_bytes(b"\x00\xff\n")
    with pytest.raises(Fault, match="damaged line"):
        ResultLog(tmp_path / result_log.FILE, INPUTS)


def test_arrays_survive_as_text():
    arrays = {"network/error": np.float32([0.1, np.nan]), "network/kept": np.array([True, False])}
    decoded = result_log.decode_arrays(result_log.encode_arrays(arrays))
    assert decoded.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(decoded[name], values)
        assert decoded[name].dtype == values.dtype
