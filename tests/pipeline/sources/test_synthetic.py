"""Reading sets of synthetic fingers."""

import json

import numpy as np
import pytest
from trees import list_files

from pipeline.imaging.warp import Warp, rotation
from pipeline.sources import synthetic
from pipeline.sources.synthetic import load_truth
from pipeline.split import split_of
from pipeline.synthesis.encode import encode
from shards.foundation.errors import Fault, Misuse

WARP = Warp(rotation(0.3, (100, 120), (4, -7)), np.full((4, 5, 2), 1.25), 60.0, (-60.0, -60.0))
IMAGE = np.zeros((4, 4), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A set as `synth` writes it; the reader opens the headers of images only."""
    folder = tmp_path / "deep" / "synthetic" / "demo"
    folder.mkdir(parents=True)
    (folder / "set.json").write_text("{}")
    for stem, ppi in (("00010_0", 1000), ("00002_1", 569), ("00002_0", 500)):
        (folder / f"{stem}.png").write_bytes(encode(IMAGE, ".png", ppi))
        (folder / f"{stem}.json").write_text(json.dumps({"warp": WARP.to_json()}))
    return folder


def test_impressions_by_finger(folder, tmp_path):
    listing = list_files(synthetic, tmp_path)
    assert [i.image_id for i in listing.impressions] == [
        f"synthetic/demo/{stem}" for stem in ("00002_0", "00002_1", "00010_0")
    ]
    first = listing.impressions[0]
    assert [i.ppi for i in listing.impressions] == [500, 569, 1000]
    assert first.partition == "synthetic/demo" and first.frgp is None
    assert first.finger == first.person == "synthetic/demo/00002"
    assert first.truth == folder / "00002_0.json"
    assert not listing.unparsed
    assert {split_of(i) for i in listing.impressions if "00002" in i.finger} == {split_of(first)}


def test_truth_is_the_warp_that_was_written(folder, tmp_path):
    warp = load_truth(list_files(synthetic, tmp_path).impressions[0].truth)
    points = np.random.default_rng(0).uniform(0, 300, (50, 2))
    assert np.array_equal(warp(points), WARP(points))


def test_an_image_without_its_sidecar_is_reported(folder, tmp_path):
    (folder / "00002_1.json").unlink()
    listing = list_files(synthetic, tmp_path)
    assert [(n.path.name, "00002_1.json is missing" in n.reason) for n in listing.unparsed] == [
        ("00002_1.png", True)
    ]
    assert len(listing.impressions) == 2


def test_a_foreign_name_is_reported(folder, tmp_path):
    (folder / "thumb.png").write_bytes(b"")
    assert [n.path.name for n in list_files(synthetic, tmp_path).unparsed] == ["thumb.png"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode(IMAGE, ".png"), "resolution is unknown: no pHYs chunk"),
        (encode(IMAGE, ".png", 72), "states 72 × 72 ppi"),
        (encode(IMAGE, ".tif"), "resolution is unknown: the TIFF states none"),
        (b"no image", "does not decode as an image"),
        (b"", "is an empty file"),
    ],
    ids=["no resolution", "an editor's", "a TIFF without", "no image", "empty"],
)
def test_an_image_without_its_resolution_is_reported(folder, tmp_path, data, reason):
    (folder / "00002_1.png").write_bytes(data)
    listing = list_files(synthetic, tmp_path)
    assert [(n.path.name, reason in n.reason) for n in listing.unparsed] == [("00002_1.png", True)]
    assert len(listing.impressions) == 2


def test_other_folders_are_not_recognized(folder, tmp_path):
    (folder / "set.json").unlink()
    assert not list_files(synthetic, tmp_path).impressions
    with pytest.raises(Misuse, match="no such folder"):
        list_files(synthetic, tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"warp": 3}', "[" * 100_000),
        '{"warp": {"matrix": [[1, 0], [0, 1]], "control": []}}',
        json.dumps({"warp": {**WARP.to_json(), "matrix": [[10**400, 0, 0], [0, 1, 0]]}}),
    ],
)
def test_a_damaged_sidecar_is_reported(tmp_path, text):
    path = tmp_path / "00001_0.json"
    path.write_text(text)
    with pytest.raises(Fault, match=r"00001_0\.json: is not the sidecar"):
        load_truth(path)


def test_a_missing_sidecar_is_reported(tmp_path):
    with pytest.raises(Fault, match=r"gone\.json"):
        load_truth(tmp_path / "gone.json")
