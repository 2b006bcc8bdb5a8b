"""The page on a registration: one self-contained file to look at two impressions and their map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.registration import plain_words
from model.registration.dense_map import resample_onto_a
from model.registration.distortion import distance_limit, grid_spacing, nearest_similarity
from model.registration.embedded_map import embed_map
from model.registration.overlay import (
    UNKNOWN,
    Foregrounds,
    GreyImage,
    even_contrast,
    overlay,
    with_polarity_of_a,
)
from model.registration.result import Registration
from shards.foundation import files, html
from shards.foundation.printable import printable_line

TEMPLATE = Path(__file__).parent / "templates/registration.html"


@dataclass(frozen=True)
class PageParameters:
    """Size of the page. All are chosen."""

    largest_side: int = 1200  # px of the images in the page; larger ones are reduced
    tone_percentiles: tuple[float, float] = (0.5, 99.5)  # grey levels that become black and white
    grid_grey: int = 185  # darkest grey of B below the grid


PAGE = PageParameters()


def write_page(
    path: Path,
    names: tuple[str, str],
    images: tuple[GreyImage, GreyImage],
    registration: Registration,
    fingers: Foregrounds = UNKNOWN,
    remarks: Sequence[str] = (),
) -> None:
    """Write the page on a registration.

    Args:
        path: the .html file.
        names: of A and B.
        images: A and B, uint8 [H, W], as in the files.
        registration: of both.
        fingers: their foregrounds, bool [H, W], outside of which no ridges are shown.
        remarks: more sentences for the reader, such as warnings.

    Raises:
        Fault: the file cannot be written.
    """
    name_a, name_b = map(printable_line, names)
    finger_area = None if fingers[0] is None else int(fingers[0].sum())
    text = html.render(
        TEMPLATE,
        title=" and ".join(_short_names(name_a, name_b)),
        sentences=[*plain_words.describe(registration, finger_area), *map(printable_line, remarks)],
        names={"a": name_a, "b": name_b},
        images=_images(images, registration, fingers),
        mapped=bool(registration.mapped_share),
        matches=len(registration.matches),
        data=_data(images, registration),
    )
    files.write_text(path, text, follow_links=True)


def _short_names(name_a: str, name_b: str) -> tuple[str, str]:
    """Return the names without their folders, where these are not needed to tell them apart."""
    short_a, short_b = Path(name_a).name, Path(name_b).name
    return (name_a, name_b) if short_a == short_b else (short_a, short_b)


def _images(
    images: tuple[GreyImage, GreyImage], registration: Registration, fingers: Foregrounds
) -> dict[str, dict[str, Any]]:
    """Return the address and the size of each image of the page."""
    a, b = images[0], with_polarity_of_a(images[1], registration.opposite_polarity)
    finger_a, finger_b = fingers
    mapped = np.isfinite(registration.map_ab[..., 0])
    onto_a = resample_onto_a(b, registration.map_ab)
    stored, even = (
        np.nan_to_num(resample_onto_a(image, registration.map_ab)).astype(np.uint8)
        for image in (_stretch(b), even_contrast(b, finger_b))
    )
    pictures = {
        "a": _stretch(a),
        "a_even": even_contrast(a, finger_a),
        "b": _stretch(b),
        "b_even": even_contrast(b, finger_b),
        "b_grid": even_contrast(b, finger_b, PAGE.grid_grey),
        "b_on_a": _with_opacity(stored, mapped),
        "b_on_a_even": _with_opacity(even, mapped),
        "ridges": overlay(a, onto_a, finger_a, mapped)[..., ::-1],
    }
    return {name: _embed(picture) for name, picture in pictures.items()}


def _data(images: tuple[GreyImage, GreyImage], registration: Registration) -> dict[str, Any]:
    """Return what the script of the page computes with, as JSON values."""
    similarity = nearest_similarity(registration.map_ab)
    data: dict[str, Any] = {
        "a": {"width": images[0].shape[1], "height": images[0].shape[0]},
        "b": {"width": images[1].shape[1], "height": images[1].shape[0]},
        "matches": np.round(registration.matches.astype(float), 3).tolist(),
        "map": None,
    }
    if similarity is not None:
        corners = similarity(np.array([0, 1, 1j]))  # the origin, and one px along x and along y
        data["map"] = embed_map(registration.map_ab, similarity, registration.sigma)
        data["spacing"] = grid_spacing(registration.map_ab.shape)
        data["similarity"] = np.stack([corners.real, corners.imag], -1).tolist()
        data["distance_limit"] = distance_limit(similarity.distances)
    return data


def _stretch(image: GreyImage) -> GreyImage:
    """Stretch the grey levels of a whole image to black and white."""
    low, high = np.percentile(image, PAGE.tone_percentiles)
    return np.round(255 * np.clip((image - low) / max(high - low, 1), 0, 1)).astype(np.uint8)


def _with_opacity(image: GreyImage, opaque: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a grey image as blue, green, red, opacity [H, W, 4]."""
    image = np.where(opaque, image, 0).astype(np.uint8)
    return np.dstack([image, image, image, 255 * opaque.astype(np.uint8)])


def _embed(picture: NDArray[np.uint8]) -> dict[str, Any]:
    """Return the address of a picture, reduced where it is large, and the size it is shown in."""
    height, width = picture.shape[:2]
    scale = min(1.0, PAGE.largest_side / max(height, width))
    if scale < 1:
        size = (max(1, round(scale * width)), max(1, round(scale * height)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    png = cv2.imencode(".png", picture)[1].tobytes()
    return {"address": html.embed_image(png), "width": width, "height": height}
