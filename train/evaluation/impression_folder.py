"""Folders of impressions named FINGER_IMPRESSION.tif, as the FVC databases are."""

from __future__ import annotations

import re
from pathlib import Path

from shards.foundation.errors import Misuse

# 101_1.tif: finger 101, impression 1. Hidden files, such as macOS leaves, do not match.
FILE_NAME = re.compile(r"([^.].*)_(\d+)\.(tif|tiff|png|bmp)", re.IGNORECASE)
OTHER_NAME = re.compile(r"[^.].*\.(tiff?|png|bmp|jpe?g|jp2|wsq|pgm|raw)", re.IGNORECASE)


def find_impressions(folder: Path) -> dict[str, list[Path]]:
    """List the image files of a folder by finger, each finger's by impression number.

    Raises:
        Misuse: the folder does not exist, has no impressions, or has two files of one impression.
    """
    if not folder.is_dir():
        raise Misuse(f"{folder}: no such folder")
    fingers: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        match = FILE_NAME.fullmatch(path.name)
        if not match:
            continue
        first = fingers.setdefault(match[1], {}).setdefault(int(match[2]), path)
        if first != path:
            raise Misuse(
                f"{folder}: {first.name} and {path.name} are one impression, of finger "
                f"{match[1]}; leave one of them"
            )
    if not fingers:
        raise Misuse(f"{folder}: holds no impressions named FINGER_IMPRESSION.tif, .png or .bmp")
    return {finger: [path for _, path in sorted(of.items())] for finger, of in fingers.items()}


def find_others(folder: Path) -> list[Path]:
    """List the image files of a folder that have other names, or are of other formats."""
    return sorted(
        path
        for path in folder.iterdir()
        if OTHER_NAME.fullmatch(path.name) and not FILE_NAME.fullmatch(path.name)
    )


def finger_name(file_name: str) -> str:
    """Return the finger of an impression's file name; the whole name where it has another form."""
    match = FILE_NAME.fullmatch(file_name)
    return match[1] if match else file_name
