"""Patterns of the paths of anyone's own images."""

import pytest

from pipeline.sources.pattern import compile_pattern
from shards.foundation.errors import Misuse


@pytest.mark.parametrize(
    "pattern, path, fields",
    [
        ("{finger}_{impression}", "101_2.tif", {"finger": "101", "impression": "2"}),
        ("{finger}_{impression}", "left_index_2.tif", {"finger": "left_index", "impression": "2"}),
        ("{finger}_{impression}", "7_b.png", {"finger": "7", "impression": "b"}),
        ("{finger}", "a b (1).PNG", {"finger": "a b (1)"}),
        ("{finger}_{impression}.png", "1_2.PNG", {"finger": "1", "impression": "2"}),
        (
            "{person}/{session}/{frgp}-{impression}",
            "p 1/s2/07-3.bmp",
            {"person": "p 1", "session": "s2", "frgp": "07", "impression": "3"},
        ),
        (
            "{person}/{person}_{finger}_{impression}_{ppi}",
            "ann/ann_r1_2_508.5.png",
            {"person": "ann", "finger": "r1", "impression": "2", "ppi": "508.5"},
        ),
        (
            r"re:(?P<person>[a-z]+)(?P<finger>\d)(?:-(?P<impression>\d))?",
            "ann7.png",
            {"person": "ann", "finger": "7"},
        ),
        ("{finger}_{impression}", "x\ny_2.tif", {"finger": "x\ny", "impression": "2"}),
        ("unlabelled", "a/7_b.png", {"finger": "unknown", "impression": "a/7_b", "split": "train"}),
    ],
)
def test_fields_of_a_path(pattern, path, fields):
    assert compile_pattern(pattern).parse(path) == fields


@pytest.mark.parametrize(
    "pattern, path, reason",
    [
        ("{finger}_{impression}", "101.tif", "does not fit the pattern {finger}_{impression}"),
        ("{finger}_{impression}", "sub/101_1.tif", "does not fit"),
        ("{person}/{finger}_{impression}", "1_1.tif", "does not fit"),
        ("{finger}_{impression}.png", "1_1.tif", "ends with .png"),
        ("{person}/{person}_{finger}", "ann/bob_1.tif", "does not fit"),
        ("{person}_{finger}_{impression}", "a_b_c_1.tif", "in two ways: person a_b, finger c"),
        ("{finger}_{impression}", "a_b_c.tif", "in two ways"),
        ("{person}{finger}", "123.tif", "in two ways"),
        ("{person}_{frgp}{impression}", "ann_0112.tif", "in two ways"),
        ("{finger}_{ppi}{impression}", "7_5002.tif", "in two ways"),
        ("{person}_{frgp}", "a_seven.tif", "does not fit"),
        ("f.{finger}", "fx1.tif", "does not fit"),
    ],
)
def test_paths_that_do_not_fit_or_fit_twice(pattern, path, reason):
    assert reason in compile_pattern(pattern).parse(path)


@pytest.mark.parametrize(
    "pattern, reason",
    [
        ("", "is no pattern"),
        ("fingers", "is no pattern"),
        ("{finger", "is no pattern"),
        ("{finger}}_{impression}", "is no pattern"),
        ("{fingr}_{impression}", "no field 'fingr'; did you mean finger?"),
        ("{}", "no field ''"),
        ("{person}_{impression}", "identifies no finger"),
        ("{frgp}_{impression}", "identifies no finger"),
        ("{person}_{frgp}_{finger}", "both {finger} and {frgp}"),
        ("/data/{finger}", "relative to the data root"),
        ("../{finger}", "relative to the data root"),
        ("re:(?P<finger>", "is no regular expression"),
        ("re:(?P<thumb>.*)", "no field 'thumb'"),
        ("re:.*", "identifies no finger"),
    ],
)
def test_wrong_patterns_are_misuse(pattern, reason):
    with pytest.raises(Misuse) as misuse:
        compile_pattern(pattern)
    assert reason in str(misuse.value)
    assert "--layout" in str(misuse.value)
