"""Pairs: the ground truth against closed forms and pixels; bytes depend on the address alone."""

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from prints import ridges

from pipeline import degradation
from pipeline.imaging import cropping
from pipeline.imaging.file import ImageFile
from pipeline.imaging.resample import render
from pipeline.imaging.warp import (
    IDENTITY,
    Warp,
    apply_affine,
    invert_affine,
    pixel_grid,
    random_control,
    rotation,
)
from pipeline.impression import Impression
from pipeline.pair import Address, make_pair, prepare_impression
from pipeline.pair_geometry import sample_warp
from pipeline.spec import PipelineSpec
from shards.record import encode

PAPER = PipelineSpec()
ELASTIC = PipelineSpec(elastic=5.0, translation=12.0)
STRETCHED = PipelineSpec(elastic=3.0, stretch=0.1)
CELLS = pixel_grid(32, 32, 4)


def impression(name="1_1", finger="f/1", ppi=500.0, partition="fvc2002/db1_a"):
    return Impression(Path(f"{name}.tif"), f"{partition}/{name}", partition, finger, finger, ppi)


def prepare(image, to_master=None, spec=PAPER, **fields):
    return prepare_impression(impression(**fields), ImageFile(image), to_master, spec)


def replace_by_dots(prepared, dots):
    """The same impression with bright dots at (x, y) px of its window in place of its ridges."""
    grid = pixel_grid(*prepared.window.image.shape)
    image = sum(np.exp(-((grid - dot) ** 2).sum(-1) / (2 * 4.0**2)) for dot in dots)
    window = dataclasses.replace(prepared.window, image=np.rint(250 * image).astype(np.uint8))
    matrix = cropping.crop_matrix(window.centre, 288, 128)
    crop_image = render(window.image, matrix, 128, Warp(IDENTITY))
    return dataclasses.replace(prepared, window=window, crop_image=crop_image)


def dot_near(image, point):
    """Centre (x, y) of the bright dot within 5 px of `point`."""
    grid = pixel_grid(*image.shape)
    weight = np.where(np.hypot(*np.moveaxis(grid - point, -1, 0)) < 5, image.astype(float), 0)
    return (grid * weight[..., None]).sum((0, 1)) / weight.sum()


@pytest.fixture(scope="module")
def finger():
    return prepare(ridges(374, 388)[0])


# --- ground truth -----------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(5))
def test_map_is_the_rotation_in_closed_form(finger, index):
    """B is rotated counter-clockwise as seen by the sampled angle about the middle of the crop."""
    pair = make_pair(finger, finger, Address("genuine", "sensor", index), PAPER)
    rng = Address("genuine", "sensor", index).rng(0, "fvc2002/db1_a", 2)
    angle = rng.uniform(-math.pi / 3, math.pi / 3)
    z = (CELLS[..., 0] - 63.5) - 1j * (CELLS[..., 1] - 63.5)  # y up
    turned = z * np.exp(1j * angle)
    expected = np.stack([turned.real + 63.5, 63.5 - turned.imag], -1)
    assert np.abs(pair.map_ab - expected)[pair.visible].max() < 0.01


@pytest.mark.parametrize(
    "spec", [PAPER, ELASTIC, STRETCHED], ids=["rotation", "elastic", "stretched"]
)
@pytest.mark.parametrize("index", range(4))
def test_map_agrees_with_the_pixels(spec, index):
    """Dots at cell centres of A appear in B at the positions of the map, to 0.05 px."""
    base = prepare(ridges(500, 500, ellipse=(230, 230))[0], spec=spec)
    matrix = cropping.crop_matrix(base.window.centre, 288, 128)
    cells = [(6, 20), (16, 16), (20, 9), (25, 22), (10, 12)]
    prepared = replace_by_dots(base, [apply_affine(matrix, CELLS[cell]) for cell in cells])
    pair = make_pair(prepared, prepared, Address("genuine", "none", index), spec)
    in_view = [cell for cell in cells if (np.abs(pair.map_ab[cell] - 63.5) < 56).all()]
    assert len(in_view) >= 3
    for cell in in_view:
        assert np.abs(dot_near(pair.image_a, CELLS[cell]) - CELLS[cell]).max() < 0.05
        # an elastic warp turns the dot into an ellipse, whose centroid is not quite its centre
        tolerance = 0.05 if spec is PAPER else 0.1
        assert (
            np.abs(dot_near(pair.image_b, pair.map_ab[cell]) - pair.map_ab[cell]).max() < tolerance
        )


@pytest.mark.parametrize("index", range(6))
def test_map_inverts_the_elastic_warp(finger, index):
    """The error against the warp that rendered B is below 0.05 px at every visible cell."""
    address = Address("genuine", "dryness", index)
    prepared = prepare(ridges(374, 388)[0], spec=ELASTIC)
    pair = make_pair(prepared, prepared, address, ELASTIC)
    warp = sample_warp(address.rng(0, "fvc2002/db1_a", 2), ELASTIC)
    error = warp(pair.map_ab[pair.visible].astype(float)) - CELLS[pair.visible]
    assert np.abs(error).max() < 0.05
    assert np.abs(warp.displacement(CELLS)).max() > 0.5


def test_visible_cells_are_on_the_finger_and_inside_b(finger):
    """A cell is visible exactly where it is on the finger and its position in B is inside B."""
    matrix = cropping.crop_matrix(finger.window.centre, 288, 128)
    on_finger = cropping.on_finger(finger.window, apply_affine(matrix, CELLS))
    for index in range(6):
        pair = make_pair(finger, finger, Address("genuine", "sensor", index), PAPER)
        warp = sample_warp(Address("genuine", "sensor", index).rng(0, "fvc2002/db1_a", 2), PAPER)
        positions = warp.inverse(CELLS)
        inside = (positions >= -0.5).all(-1) & (positions < 127.5).all(-1)
        assert np.array_equal(pair.visible, on_finger & inside)
        assert np.isnan(pair.map_ab[~pair.visible]).all()
        assert 0.2 < pair.visible.mean() < 0.9
    assert 0.9 > on_finger.mean() > 0.2


def test_impostor_pairs_have_no_correspondence(finger):
    other = prepare(ridges(374, 388, core=(50, 0))[0], name="2_1", finger="f/2")
    pair = make_pair(finger, other, Address("impostor", "pressure", 3), PAPER)
    assert not pair.visible.any() and np.isnan(pair.map_ab).all() and not pair.genuine
    assert (pair.finger_a, pair.finger_b) == ("f/1", "f/2")
    assert np.array_equal(pair.image_a, finger.crop_image)
    same_b = make_pair(other, other, Address("impostor", "pressure", 3), PAPER)
    assert np.array_equal(pair.image_b, same_b.image_b)


# --- two impressions of one finger ------------------------------------------------------------


def contact(seed, ppi):
    """An impression at `ppi` of a master with a core off its middle, and its warp to it."""
    rng = np.random.default_rng(seed)
    master, _ = ridges(640, 640, ellipse=(280, 280), core=(60, 35))
    side = round(420 * ppi / 500)
    control, origin = random_control(rng, (side, side), 90.0, 6.0, 0.15)
    turn = rotation(rng.uniform(-0.3, 0.3), (side / 2, side / 2))
    scale = np.hstack([np.eye(2) * 500 / ppi, 320 - 210 + rng.uniform(-20, 20, (2, 1))])
    matrix = np.vstack([scale, [0, 0, 1]]) @ np.vstack([turn, [0, 0, 1]])
    warp = Warp(matrix[:2], control, 90.0, origin)
    source = warp.dense(side, side).astype(np.float32)
    image = cv2.remap(master, source, None, cv2.INTER_CUBIC, borderValue=250)
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    image[np.hypot(x, y) > 0.42] = 250
    return image, warp


@pytest.mark.parametrize("ppi", [500.0, 569.0])
def test_map_between_impressions_is_exact(ppi):
    """A cell of A and its position in B map to the same point of the master."""
    spec = dataclasses.replace(ELASTIC, different_impressions=1)
    (image_a, truth_a), (image_b, truth_b) = contact(1, 500.0), contact(2, ppi)
    a = prepare(image_a, truth_a, spec)
    b = prepare(image_b, truth_b, spec, name="1_2", ppi=ppi)
    address = Address("genuine-impressions", "dryness", 11)
    pair = make_pair(a, b, address, spec)
    warp = sample_warp(address.rng(0, "fvc2002/db1_a", 2), spec)
    in_b = apply_affine(pair.to_original_b, warp(pair.map_ab[pair.visible].astype(float)))
    in_a = apply_affine(pair.to_original_a, CELLS[pair.visible])
    scale = 288 / 128  # px of the master per px of the crop
    assert pair.visible.sum() > 200
    assert np.abs(truth_a(in_a) - truth_b(in_b)).max() / scale < 0.05
    assert (pair.image_id_a, pair.image_id_b) == ("fvc2002/db1_a/1_1", "fvc2002/db1_a/1_2")
    on_b = apply_affine(invert_affine(b.window.to_original), in_b)
    on_a = apply_affine(invert_affine(a.window.to_original), in_a)
    assert cropping.on_finger(a.window, on_a).all()
    assert cropping.on_finger(b.window, on_b).mean() > 0.99  # the map is rounded to 1/1024 px


def test_pixels_of_two_impressions_agree_along_the_map():
    spec = dataclasses.replace(PAPER, different_impressions=1)
    (image_a, truth_a), (image_b, truth_b) = contact(1, 500.0), contact(2, 569.0)
    a = prepare(image_a, truth_a, spec)
    b = prepare(image_b, truth_b, spec, name="1_2", ppi=569.0)
    pair = make_pair(a, b, Address("genuine-impressions", "none", 2), spec)
    values = [
        cv2.remap(image, points.astype(np.float32), None, cv2.INTER_LINEAR)[pair.visible]
        for image, points in ((pair.image_a, CELLS), (pair.image_b, np.nan_to_num(pair.map_ab)))
    ]
    assert np.corrcoef(*values)[0, 1] > 0.9


def test_pair_of_impressions_without_truth_is_refused(finger):
    with pytest.raises(ValueError, match="no warp to its master"):
        make_pair(finger, finger, Address("genuine-impressions", "none", 0), PAPER)


# --- pixels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("light", [250, 95])
def test_rotation_leaves_no_wedges(light):
    """Outside the finger, B has the grey level of the image's own background."""
    prepared = prepare(ridges(300, 300, light=light, dark=light // 3)[0])
    for index in range(8):
        pair = make_pair(prepared, prepared, Address("genuine", "none", index), PAPER)
        warp = sample_warp(Address("genuine", "none", index).rng(0, "fvc2002/db1_a", 2), PAPER)
        matrix = cropping.crop_matrix(prepared.window.centre, 288, 128)
        points = apply_affine(matrix, warp(pixel_grid(128, 128)))
        ground = cv2.erode(
            (~cropping.on_finger(prepared.window, points)).astype(np.uint8), np.ones((7, 7))
        )
        assert ground.sum() > 500
        assert np.abs(pair.image_b[ground > 0].astype(int) - light).max() < 12


@pytest.mark.parametrize("kind", ["sensor", "dryness", "pressure"])
def test_order_is_degradation_at_500_ppi_then_rotation_then_size(finger, kind):
    trace = []
    address = Address("genuine", kind, 5)
    pair = make_pair(finger, finger, address, PAPER, trace)
    assert [name for name, _ in trace] == [kind, "B"]
    sampled = degradation.sample(kind, address.rng(0, "fvc2002/db1_a", 1))
    degraded = degradation.apply(finger.window.image, sampled)
    assert np.array_equal(trace[0][1], degraded)
    matrix = cropping.crop_matrix(finger.window.centre, 288, 128)
    warp = sample_warp(address.rng(0, "fvc2002/db1_a", 2), PAPER)
    assert np.array_equal(pair.image_b, render(degraded, matrix, 128, warp))
    assert pair.image_b.std() > 0.5 * pair.image_a.std()


def test_to_original_maps_to_the_pixels_of_the_file():
    """A dot in A maps back to its position in the file, at 1000 ppi."""
    prepared = prepare(ridges(700, 720)[0], ppi=1000.0)
    dot = np.array([200.0, 215.0])  # px of the window
    in_file = apply_affine(prepared.window.to_original, dot)
    pair = make_pair(
        replace_by_dots(prepared, [dot]), prepared, Address("genuine", "none", 0), PAPER
    )
    guess = apply_affine(invert_affine(pair.to_original_a), in_file)
    measured = apply_affine(pair.to_original_a, dot_near(pair.image_a, guess))
    assert np.abs(measured - in_file).max() < 0.2
    assert np.array_equal(pair.to_original_a, pair.to_original_b)


# --- addresses --------------------------------------------------------------------------------


def test_bytes_depend_on_the_address_alone(finger):
    """The bytes are the same in another order and from an impression prepared again."""
    addresses = [Address("genuine", k, i) for i, k in enumerate(["sensor", "dryness", "pressure"])]
    first = [encode(make_pair(finger, finger, a, ELASTIC)) for a in addresses]
    again = prepare(ridges(374, 388)[0])
    backwards = [encode(make_pair(again, again, a, ELASTIC)) for a in reversed(addresses)]
    assert first == backwards[::-1]


def test_position_of_the_crop_depends_on_image_id_and_seed():
    """All pairs of an image have the same crop; another image id or seed gives another crop."""
    image = ridges(750, 800, ellipse=(300, 240))[0]
    other = dataclasses.replace(PAPER, seed=1)
    first, again, named, seeded = (
        prepare(image, spec=spec, name=name)
        for spec, name in ((PAPER, "1_1"), (PAPER, "1_1"), (PAPER, "2_1"), (other, "1_1"))
    )
    assert np.array_equal(first.to_original, again.to_original)
    pair = make_pair(first, first, Address("genuine", "sensor", 3), PAPER)
    assert np.array_equal(pair.to_original_a, first.to_original)
    assert np.array_equal(pair.to_original_b, first.to_original)
    positions = [tuple(p.to_original[:, 2]) for p in (first, named, seeded)]
    assert len(set(positions)) == 3


def test_every_part_of_the_address_matters(finger):
    """Another index, seed or partition gives another image B."""
    other = prepare(ridges(374, 388)[0], partition="fvc2002/db3_a")
    cases = [(finger, 1, 0), (finger, 2, 0), (finger, 1, 1), (other, 1, 0)]
    images = [
        make_pair(
            p, p, Address("genuine", "sensor", index), dataclasses.replace(PAPER, seed=seed)
        ).image_b.tobytes()
        for p, index, seed in cases
    ]
    assert len(set(images)) == len(cases)


def test_stages_of_an_address_are_independent():
    """Random numbers of different stages are uncorrelated."""
    numbers = [
        [Address("genuine", "none", i).rng(0, "p", s).random() for i in range(400)]
        for s in range(3)
    ]
    assert np.abs(np.corrcoef(numbers) - np.eye(3)).max() < 0.2


def test_angles_are_uniform_over_the_range():
    spec = dataclasses.replace(PAPER, rotation_range=(-1.0, 0.5))
    matrices = [
        sample_warp(Address("genuine", "none", i).rng(0, "p", 2), spec).matrix for i in range(600)
    ]
    angles = np.sort(
        [math.atan2(-m[0, 1], m[0, 0]) for m in matrices]
    )  # of the image, not its source
    assert angles[0] > -1.0 and angles[-1] < 0.5
    assert np.abs((angles + 1.0) / 1.5 - np.linspace(0, 1, 600)).max() < 0.07  # Kolmogorov-Smirnov


def test_translation_stays_within_its_bound():
    spec = dataclasses.replace(PAPER, translation=18.0)
    shifts = [
        invert_affine(sample_warp(Address("genuine", "none", i).rng(0, "p", 2), spec).matrix)
        for i in range(200)
    ]
    moved = np.array([apply_affine(s, np.array([63.5, 63.5])) - 63.5 for s in shifts]) * 288 / 128
    assert 16 < np.abs(moved).max() <= 18


def test_stretch_differs_by_axis_and_stays_within_its_bound():
    """The ratio of the axes has a half-normal logarithm (median 0.67 deviations)."""
    spec = dataclasses.replace(PAPER, stretch=0.1)
    linear = [
        sample_warp(Address("genuine", "none", i).rng(0, "p", 2), spec).matrix[:, :2]
        for i in range(1000)
    ]
    wide, narrow = np.log(np.linalg.svd(linear, compute_uv=False)).T
    assert abs(np.median(wide - narrow) - 0.0674) < 0.008
    assert 0.22 < (wide - narrow).max() <= 0.25 + 1e-9
    assert abs(np.std((wide + narrow) / 2) - 0.05) < 0.005


def test_window_contains_every_stretched_crop():
    """The window contains the samples of the largest stretch, rotated and bent."""
    spec = dataclasses.replace(STRETCHED, translation=20.0)
    radius = prepare(ridges(374, 388)[0], spec=spec).window.image.shape[0] / 2
    for i in range(200):
        warp = sample_warp(Address("genuine", "none", i).rng(0, "p", 2), spec)
        offsets = (warp.dense(128, 128) - 63.5) * 288 / 128
        assert np.abs(offsets).max() < radius
