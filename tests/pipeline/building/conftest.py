"""Fixtures of the tests of a build: images of two databases, and the set that they give."""

import cv2
import pytest
from prints import finger
from set_files import build_set, content


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Two databases of ten fingers, one and two impressions, under FVC2002's names."""
    root = tmp_path_factory.mktemp("data")
    for database, impressions, light in (("DB1_B", 2, 250), ("DB3_B", 1, 110)):
        (root / database).mkdir()
        for number in range(101, 111):
            for k in range(1, impressions + 1):
                image = finger([light, number, k], 220, 200, light, light // 4)
                cv2.imwrite(str(root / database / f"{number}_{k}.tif"), image)
    return root


@pytest.fixture(scope="session")
def complete_set(images, tmp_path_factory):
    """The files of the set, to which every build must lead."""
    out = tmp_path_factory.mktemp("complete_set")
    build_set(images, out)
    return content(out)
