"""Two small sound sets: of synthesized fingers, and of image files."""

import dataclasses

import cv2
import pytest
from prints import finger
from set_files import build_set

import configs
from pipeline.building.build import BuildOptions, build
from pipeline.sources import generated

SHIPPED = configs.load(configs.PAPER.with_name("shipped.py")).pipeline
SMALL = dataclasses.replace(SHIPPED, crop=144, size=64, grid=16)
GENERATED = dataclasses.replace(SMALL, fingers=10, impressions=2, finger_seed=5)


@pytest.fixture(scope="session")
def generated_fingers(tmp_path_factory):
    """Build a set of synthesized fingers with pairs of two impressions."""
    out = tmp_path_factory.mktemp("generated")
    images = generated.list_impressions("synthetic/few", GENERATED)
    build(GENERATED, {"synthetic/few": images}, out, BuildOptions(workers=1))
    return out


@pytest.fixture(scope="session")
def file_root(tmp_path_factory):
    """Write two images of each of ten fingers under FVC2002's names."""
    root = tmp_path_factory.mktemp("root")
    (root / "DB1_B").mkdir()
    for number in range(101, 111):
        for impression in (1, 2):
            image = finger([number, impression], 200, 180)
            cv2.imwrite(str(root / "DB1_B" / f"{number}_{impression}.tif"), image)
    return root


@pytest.fixture(scope="session")
def fingers_in_files(tmp_path_factory, file_root):
    """Build a set of image files."""
    out = tmp_path_factory.mktemp("files")
    build_set(file_root, out, SHIPPED, ("fvc2002/db1_b",))
    return out
