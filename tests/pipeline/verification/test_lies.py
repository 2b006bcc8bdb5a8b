"""Sets with correct checksums whose records lie: what is found without the images, and with."""

from contextlib import closing
from dataclasses import replace

import lies
import numpy as np
import pytest

from pipeline.verification.verification import VerificationOptions, verify_plan
from shards.verify.verify import verify

DEEP = VerificationOptions(workers=1)
REBUILT = VerificationOptions(content=False, sample="all", workers=1)
MAPS = {
    "map moved by 1/64 px": lies.shifted(1 / 64),
    "map turned by 0.1°": lies.rotated(0.1),
}


# Small crops show too little background for their polarity.
UNSEEN = {"light ridges, all pairs"}
# The set of image files has no such pairs.
OF_TWO = {"B noise and one visible cell, all pairs of two impressions"}


def findings(directory, options):
    """Return the findings of the plan, the crops and the images."""
    with closing(verify_plan(directory, options)) as result:
        return list(result)


def deep(directory):
    """Return all findings without the images."""
    return [*verify(directory, "deep", 1), *findings(directory, DEEP)]


def test_sound_sets_have_no_fault(generated_fingers, fingers_in_files, file_root):
    assert deep(generated_fingers) == []
    assert deep(fingers_in_files) == []
    assert findings(generated_fingers, REBUILT) == []
    options = VerificationOptions(False, "all", (file_root,), 1)
    assert findings(fingers_in_files, options) == []


@pytest.mark.parametrize("lie", sorted((lies.LIES | MAPS).keys() - UNSEEN))
def test_each_lie_about_synthesized_fingers_is_found(generated_fingers, tmp_path, lie):
    """Without building anything again."""
    changed = lies.tell(generated_fingers, tmp_path, (lies.LIES | MAPS)[lie])
    assert changed or lie == "half of the records gone"
    assert deep(tmp_path)


def with_transforms(value):
    return lambda pair: replace(
        pair, to_original_a=np.full((2, 3), value), to_original_b=np.full((2, 3), value)
    )


@pytest.mark.parametrize(
    "change",
    [
        with_transforms(0.0),
        with_transforms(np.nan),
        lambda pair: replace(pair, map_ab=np.full_like(pair.map_ab, np.nan)),
    ],
    ids=["transforms of zeros", "transforms of NaN", "visible cells of NaN"],
)
def test_records_that_are_no_numbers_are_found(generated_fingers, tmp_path, change):
    changed = lies.tell(
        generated_fingers,
        tmp_path,
        lambda pairs: lies._change(pairs, lies._genuine, lambda pair, *_: change(pair), step=1),
    )
    named = {(fault.file, fault.record) for fault in deep(tmp_path)}
    assert changed and set(changed) <= named


@pytest.mark.parametrize("lie", sorted((lies.LIES | MAPS).keys() - OF_TWO))
def test_every_record_of_image_files_that_lies_is_named(fingers_in_files, file_root, tmp_path, lie):
    """By building the records again from the images."""
    changed = set(lies.tell(fingers_in_files, tmp_path, (lies.LIES | MAPS)[lie]))
    assert changed or lie == "half of the records gone"
    faults = findings(tmp_path, VerificationOptions(False, "all", (file_root,), 1))
    named = {(fault.file, fault.record) for fault in faults}
    assert faults
    assert changed <= named or lie == "val and test exchanged"  # whole shards are named


@pytest.mark.parametrize("lie", sorted(UNSEEN))
def test_lies_that_need_background_are_found_in_large_crops(fingers_in_files, tmp_path, lie):
    lies.tell(fingers_in_files, tmp_path, lies.LIES[lie])
    assert any("shows light ridges in" in fault.message for fault in deep(tmp_path))


def test_every_changed_record_of_synthesized_fingers_is_named(generated_fingers, tmp_path):
    changed = set(lies.tell(generated_fingers, tmp_path, lies.shifted(1 / 64, lies._two)))
    named = {(fault.file, fault.record) for fault in findings(tmp_path, DEEP)}
    assert changed and changed <= named
