"""An impression always has a foreground: one without it is sampled again."""

import json

import numpy as np
import pytest

from pipeline.imaging import preprocess
from pipeline.synthesis import generate
from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from shards.foundation.errors import Fault

# The first attempt at this address hardly touches the sensor and has no foreground.
FAINT = (0, "synthetic/shipped", 34, 7)


def test_an_impression_without_foreground_is_sampled_again(monkeypatch):
    master = synthesize_master(*FAINT[:3])
    impression = synthesize_impression(master, *FAINT)
    preprocess.prepare(impression.image, impression.ppi)
    assert impression.params["attempt"] == 1
    json.dumps(impression.params)
    again = synthesize_impression(master, *FAINT)
    assert np.array_equal(impression.image, again.image)
    monkeypatch.setattr(generate, "_has_foreground", lambda _: True)
    first = synthesize_impression(master, *FAINT)
    assert first.params["style"] == impression.params["style"]
    assert "attempt" not in first.params
    with pytest.raises(Fault, match="no foreground"):
        preprocess.prepare(first.image, first.ppi)


def test_an_address_without_any_foreground_is_a_fault(monkeypatch):
    master = synthesize_master(*FAINT[:3])
    monkeypatch.setattr(generate, "_has_foreground", lambda _: False)
    with pytest.raises(Fault, match="after 2 attempts; take another seed"):
        synthesize_impression(master, *FAINT, parameters=generate.ImpressionParameters(attempts=2))
