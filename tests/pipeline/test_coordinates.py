"""Coordinates: stored records map to the pixels of the files that they were built from."""

import dataclasses

import cv2
import numpy as np
import pytest
from prints import ridges
from scipy import ndimage

import configs
from pipeline import catalog
from pipeline.building.build import BuildOptions, build
from pipeline.imaging.file import load
from pipeline.imaging.warp import apply_affine, pixel_grid
from shards import record, store

SPEC = dataclasses.replace(configs.load().pipeline, pairs_per_shard=20, held_out=())
FILES = {  # ppi → path of a file of that resolution (with its number), and its size
    500: ("DB1_B/10{}_1.tif", (374, 388)),
    569: ("DB2_B/10{}_1.tif", (427, 443)),
    1000: ("images/1000/png/roll/0000100{}_roll_1000_01.png", (901, 811)),
    2000: ("images/2000/png/roll/0000100{}_roll_2000_01.png", (1531, 1601)),
}
EDGE = 20  # px of the crop that are not compared, because an image fades at its frame


def offset(image, to_original, file):
    """Offset, in px of the file, between the crop's ridges and their positions by `to_original`.

    The file is smoothed and sampled at the positions of the crop's px by other code than the
    pipeline's. The shift between the two is the least-squares shift (Lucas & Kanade 1981); it is
    too large by a third, because central differences underestimate ridges four px wide.
    """
    scale = np.sqrt(np.linalg.det(to_original[:, :2]))
    x, y = np.moveaxis(apply_affine(to_original, pixel_grid(*image.shape)), -1, 0)
    smooth = ndimage.gaussian_filter(file.astype(float), 0.5 * scale)
    expected = ndimage.map_coordinates(smooth, [y, x], order=3, mode="nearest")
    inside = (np.minimum(x, y) > EDGE * scale) & (x < file.shape[1] - EDGE * scale)
    inside &= y < file.shape[0] - EDGE * scale
    terms = [*np.gradient(expected)[::-1], expected, np.ones_like(expected)]
    dx, dy, contrast, _ = np.linalg.lstsq(
        np.stack([term[inside] for term in terms], -1), image[inside].astype(float)
    )[0]
    return scale * float(np.hypot(dx, dy)) / contrast


@pytest.mark.parametrize("ppi", FILES)
def test_record_maps_to_the_pixels_of_its_file(tmp_path, ppi):
    name, size = FILES[ppi]
    for k in (1, 2):
        path = tmp_path / "data" / name.format(k)
        path.parent.mkdir(parents=True, exist_ok=True)
        core = (11.3 * k * ppi / 500, -7.9 * ppi / 500)
        image, _ = ridges(*size, period=9 * ppi / 500, core=core)
        cv2.imwrite(str(path), image)
    chosen = catalog.discover([tmp_path / "data"]).partitions
    build(SPEC, chosen, tmp_path / "out", BuildOptions(workers=1))
    files = {i.image_id: i for impressions in chosen.values() for i in impressions}
    shards = store.open_set(tmp_path / "out")
    pairs = [record.decode(data) for data in shards.read("train", range(shards.count("train")))]
    assert {pair.image_id_a for pair in pairs} == set(files)
    for pair in pairs:
        impression = files[pair.image_id_a]
        assert impression.ppi == ppi
        measured = offset(pair.image_a, pair.to_original_a, load(impression.path).stored)
        assert measured < 0.01 * ppi / 500
