"""The arguments by which the library gets images: files, or pixels with their resolution."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import file, resolution
from pipeline.imaging.file import ImageFile
from pipeline.imaging.resolution import ImageResolution, compare_with_ridges, find_resolution
from shards.foundation.errors import Misuse

ImageLike = str | Path | NDArray[np.uint8]  # a file, or pixels [H, W] as stored
ImageSource = Path | NDArray[np.uint8]
LIBRARY = (__name__, "train.densereg", "densereg")  # modules between a user's call and a warning


def check_image(image: ImageLike, name: str) -> ImageSource:
    """Return an argument as a path or as pixels; Misuse for anything else."""
    if isinstance(image, str | Path):
        return Path(image)
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 2:
        return np.ascontiguousarray(image)
    kind = type(image).__name__
    if isinstance(image, np.ndarray):
        kind = f"array {list(image.shape)} {image.dtype}"
    raise Misuse(f"{name}: {kind}; expected the path of an image, or an array [H, W] uint8")


def stated_resolution(ppi: float | None, argument: str) -> ImageResolution | None:
    """Return a resolution that the caller states; Misuse for one that is not accepted."""
    if ppi is None:
        return None
    if not isinstance(ppi, int | float | np.number) or not resolution.DEFAULT.accepts(float(ppi)):
        raise Misuse(f"{argument} is {ppi!r}; {resolution.DEFAULT.expected}")
    return ImageResolution(float(ppi), "argument")


def open_image(
    source: ImageSource, known: ImageResolution | None, name: str, argument: str
) -> tuple[ImageFile, ImageResolution]:
    """Return the content of an image and its resolution.

    Args:
        source: the image.
        known: the resolution that the caller states.
        name: of the image in messages.
        argument: that states its resolution.

    Raises:
        Misuse: pixels without resolution.
        Fault: the file cannot be read.
    """
    if isinstance(source, Path):
        content = file.load(source)
        resolved = find_resolution(source, content.stored, known)
        warn_of_doubtful(resolved, str(source), argument)
        return content, resolved
    if known is None:
        raise Misuse(f"{name}: an array has no resolution; state it by {argument}, such as 500")
    resolved = compare_with_ridges(known, source)
    warn_of_doubtful(resolved, name, argument)
    return ImageFile(source), resolved


def warn_of_doubtful(image_resolution: ImageResolution, name: str, argument: str) -> None:
    """Warn the caller of the library where the resolution of an image is doubtful."""
    message = resolution.warn_of_doubtful({name: image_resolution}, argument)
    if message:
        warnings.warn(message.removeprefix("warning: "), stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """Return the `stacklevel`, for the calling function, of the user of the library."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") in LIBRARY:
        level, frame = level + 1, frame.f_back
    return level
