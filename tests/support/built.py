"""Helpers of build tests: images of two databases, and the files of a set."""

import cv2
from prints import finger

from pipeline.building import state


def two_databases(root):
    """Write two of FVC2002's databases of ten fingers below `root`; return `root`."""
    for database in ("DB1_B", "DB3_B"):
        (root / database).mkdir()
        for number in range(101, 111):
            image = finger([number, ord(database[2])], 190, 180)
            cv2.imwrite(str(root / database / f"{number}_1.tif"), image)
    return root


def content(out):
    """Return every file of the set and its bytes, without the state of the build."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and state.FOLDER not in path.parts
    }
