"""What several tests of a build need: images of two databases, and all that a build made."""

import cv2
from prints import finger

from pipeline.building import state


def two_databases(root):
    """Two of FVC2002's databases of ten fingers below the folder `root`, which is returned."""
    for database in ("DB1_B", "DB3_B"):
        (root / database).mkdir()
        for number in range(101, 111):
            image = finger([number, ord(database[2])], 190, 180)
            cv2.imwrite(str(root / database / f"{number}_1.tif"), image)
    return root


def content(out):
    """Every file of the set and its bytes, the build's own notes aside."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and state.FOLDER not in path.parts
    }
