"""The crops of two impressions contradict a wrong map, quadrant by quadrant."""

import lies
import pytest

from pipeline.pair import Address
from pipeline.verification.crop_agreement import find_disagreement
from pipeline.verification.expected_view import warp_of
from pipeline.verification.set_spec import read_spec
from shards import store


@pytest.fixture(scope="module")
def two_impressions(generated_fingers):
    """Return pairs of two impressions, each with the crop of B and the warp of image B."""
    spec = read_spec(store.load_manifest(generated_fingers).spec)
    pairs = [pair for items in lies.load(generated_fingers).values() for pair in items]
    crops = {pair.image_id_a: pair.image_a for pair in pairs}
    return [
        (
            pair,
            crops[pair.image_id_b],
            warp_of(Address(pair.kind, pair.noise, pair.index), "synthetic/few", spec),
        )
        for pair in pairs
        if pair.kind == "genuine-impressions"
    ]


def share_found(pairs, lie=lambda pairs: None):
    """Return the share of pairs that are found after a lie about all of them."""
    content = {"shard": [pair for pair, _, _ in pairs]}
    lie(content)
    found = [
        find_disagreement(pair, crop, warp) is not None
        for pair, (_, crop, warp) in zip(content["shard"], pairs, strict=True)
    ]
    return sum(found) / len(found)


def test_correct_maps_are_not_contradicted(two_impressions):
    assert share_found(two_impressions) == 0


def test_moved_and_turned_maps_are_contradicted(two_impressions):
    """Quadrants of so small images tell little of a turn."""
    assert share_found(two_impressions, lies.shifted(2.0, lies._two, 1)) > 0.3
    assert share_found(two_impressions, lies.rotated(6.0, lies._two, 1)) > 0
