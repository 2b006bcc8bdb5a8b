"""Impressions: the map to the master is the one that the image shows; what touch and skin do."""

import json
from dataclasses import is_dataclass, replace

import cv2
import numpy as np
import pytest

from pipeline.imaging.foreground import foreground
from pipeline.imaging.preprocess import to_working_resolution
from pipeline.imaging.warp import Warp, apply_affine, pixel_grid
from pipeline.synthesis import generate
from pipeline.synthesis.encode import resample
from pipeline.synthesis.frame import MASTER_SIZE
from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from pipeline.synthesis.impression import (
    DISPLACED,
    DRY,
    HARD,
    LIGHT,
    PLAIN,
    STRAIN,
    TWISTED,
    WET,
    contact,
    pressure,
    sample_manner,
    sample_touch,
)
from pipeline.synthesis.sensor import (
    CAPACITIVE,
    GENERIC,
    INK,
    OPTICAL,
    STYLES,
    render_image,
    synthesize_image,
)


@pytest.fixture(scope="module")
def master():
    return synthesize_master(5, "synthetic/test", 1)


def touches(style, count, manner=PLAIN, **fields):
    rng = np.random.default_rng(7)
    return [replace(sample_touch(rng, style.placement, manner), **fields) for _ in range(count)]


def render(master, touch, style, seed=0):
    """The image, brought to the touch's px at 500 ppi, and its level [H, W]."""
    skin, level = contact(master, touch, np.random.default_rng(seed))
    image = synthesize_image(style, skin, level, np.random.default_rng(seed))
    return resample(image, 500 / style.ppi, touch.size), level


def sample(image, points):
    """Cubic samples of `image` at `points` [N, 2]; -9 outside."""
    at = points.astype(np.float32)
    at = np.pad(at, ((0, -len(at) % 256), (0, 0))).reshape(-1, 256, 2)  # cv2 takes no longer rows
    options = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": -9}
    x, y = at[..., 0].copy(), at[..., 1].copy()
    found = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_CUBIC, **options)
    return found.ravel()[: len(points)]


def correlation(image_a, image_b, points, mapped):
    """Normalised correlation of what A shows at `points` and B at `mapped` [N, 2]."""
    return np.corrcoef(sample(image_a, points), sample(image_b, mapped))[0, 1]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_map_between_impressions_is_the_one_the_images_show(master, style):
    """Composed from the two warps; the images agree there, and nowhere beside it."""
    clean = {"dryness": 0.0, "moisture": 0.0, "pressure": 0.0, "slope": (0.0, 0.0)}
    touch_a, touch_b = touches(style, 2, **clean, smear=None, residue=None)
    image_a, level_a = render(master, touch_a, style, 1)
    image_b, level_b = render(master, touch_b, style, 2)
    points = pixel_grid(*touch_a.size)[level_a > -0.6]
    mapped = touch_b.warp.inverse(touch_a.warp(points))
    on_both = sample(level_b, mapped) > -0.6
    assert on_both.mean() > 0.4
    points, mapped = points[on_both], mapped[on_both]
    right = correlation(image_a, image_b, points, mapped)
    assert right > 0.6
    for shift in np.array([(1, 0), (-1, 0), (0, 1), (0, -1)]):
        assert correlation(image_a, image_b, points, mapped + 0.5 * shift) < right
        assert correlation(image_a, image_b, points, mapped + 2 * shift) < right - 0.2


@pytest.mark.parametrize("manner", [PLAIN, TWISTED], ids=lambda manner: manner.name)
def test_map_is_exact_by_the_images(master, manner):
    """The best shift of B on A, found by a parabola through three correlations, is zero."""
    a, b = touches(OPTICAL, 2, manner, dryness=0.0, moisture=0.0, pressure=0.0)
    images = [render(master, touch, OPTICAL, k)[0] for k, touch in enumerate((a, b))]
    centre = (np.array(a.size[::-1]) - 1) / 2
    grid = pixel_grid(160, 160) - 80 + centre
    mapped = b.warp.inverse(a.warp(grid)).reshape(-1, 2)
    for axis in np.eye(2):
        low, mid, high = (
            correlation(*images, grid.reshape(-1, 2), mapped + axis * step)
            for step in (-0.5, 0, 0.5)
        )
        assert abs(0.25 * (low - high) / (low - 2 * mid + high)) < 0.05


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_ridges_are_dark(master, style):
    for touch in touches(style, 3):
        image, level = render(master, touch, style)
        at = touch.warp.dense(*touch.size).astype(np.float32)
        ridges = cv2.remap(master.ridges, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
        middle = level > -0.5
        assert image[middle & (ridges > 0.7)].mean() + 20 < image[middle & (ridges < -0.7)].mean()


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_ground_is_lighter_than_ridges(master, style):
    touch = touches(style, 1)[0]
    image, level = render(master, touch, style)
    ground = image[level < -8]
    assert ground.mean() > (250 if style is OPTICAL else 95)
    assert ground.mean() > np.percentile(image, 10) + (25 if style is GENERIC else 40)


def dark_share(master, touch):
    image, _ = render(master, touch, OPTICAL)
    y, x = touch.size[0] // 2, touch.size[1] // 2
    return (image[y - 70 : y + 70, x - 70 : x + 70] < 128).mean()


def test_pressure_and_moisture_widen_ridges_and_dryness_thins_them(master):
    still = {"dryness": 0.0, "moisture": 0.0, "slope": (0.0, 0.0)}
    plain = touches(OPTICAL, 1, pressure=-0.1, **still)[0]
    share = dark_share(master, plain)
    assert dark_share(master, replace(plain, pressure=0.4)) > share + 0.05
    assert dark_share(master, replace(plain, pressure=-0.6)) < share - 0.05
    assert dark_share(master, replace(plain, moisture=1.0)) > share + 0.03
    assert dark_share(master, replace(plain, dryness=1.0)) < share - 0.05


def test_dryness_breaks_ridges(master):
    wet, dry = (touches(OPTICAL, 1, pressure=0.0, moisture=0.0, dryness=d)[0] for d in (0.0, 1.0))
    pieces = [
        cv2.connectedComponents((render(master, t, OPTICAL)[0] < 128).astype(np.uint8))[0]
        for t in (wet, dry)
    ]
    assert pieces[1] > 1.5 * pieces[0]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_touches_vary_as_in_a_competition(style):
    """Turned by less than 30°, stretched by several px, most of each seen in the other."""
    drawn = touches(style, 24)
    assert max(abs(np.degrees(t.rotation)) for t in drawn) < 30
    assert np.std([np.degrees(t.rotation) for t in drawn]) > 4
    assert all(2 < np.abs(t.warp.control).max() < 25 for t in drawn)
    levels = [pressure(t, np.random.default_rng(k)) - t.pressure for k, t in enumerate(drawn)]
    shared = []
    for k, a in enumerate(drawn):
        b, level_b = drawn[k - 1], levels[k - 1]
        points = pixel_grid(*a.size)[levels[k] > -0.8][::97]
        x, y = np.rint(b.warp.inverse(a.warp(points))).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < b.size[1]) & (y < b.size[0])
        shared.append((inside & (level_b[y * inside, x * inside] > -0.8)).mean())
    assert np.median(shared) > 0.7 and min(shared) > 0.35


def displacement(touch):
    """Largest distance px by which the contact's edge leaves where its middle would put it."""
    points = pixel_grid(*touch.size, 1.0)[::8, ::8].reshape(-1, 2)
    away = points - touch.centre
    middle = np.hypot(*away.T) < 25
    inside = np.hypot(*(away / touch.axes).T) < 1
    moved = touch.warp(points)
    plane = np.column_stack([points, np.ones(len(points))])
    affine = np.linalg.lstsq(plane[middle], moved[middle], rcond=None)[0]
    u, _, v = np.linalg.svd(affine[:2])
    rigid = (points - points[middle].mean(0)) @ (u @ v) + moved[middle].mean(0)
    return np.hypot(*(moved - rigid)[inside].T).max()


def test_twisted_skin_is_stretched_further_and_never_folds():
    plain, twisted = (touches(OPTICAL, 40, manner) for manner in (PLAIN, TWISTED))
    far = [np.array([displacement(touch) for touch in drawn]) for drawn in (plain, twisted)]
    assert 5 < np.median(far[0]) < 15 and 15 < np.median(far[1]) < 35
    assert max(t.warp.strain for t in plain + twisted) < 0.81
    assert max(abs(np.degrees(t.rotation)) for t in twisted) > 30


def test_skin_is_stretched_along_its_axes_as_measured_between_real_impressions():
    """FVC2002 DB1_B: one way against the other by 3.5 % in the median of the pairs, scale 1.4 %."""
    drawn = touches(OPTICAL, 200)
    between = [a.warp.matrix[:, :2] @ np.linalg.inv(b.warp.matrix[:, :2]) for a, b in pairs(drawn)]
    large, small = np.linalg.svd(between)[1].T
    assert 0.025 < np.median(np.log(large / small)) < 0.05
    assert 0.008 < np.std(np.log(large * small) / 2) < 0.02


def pairs(drawn):
    return zip(drawn[::2], drawn[1::2], strict=True)


def test_displaced_fingers_are_cut_by_the_frame():
    """Less of the contact lies in the image than of a plain touch's."""
    shares = []
    for manner in (PLAIN, DISPLACED):
        centres = np.array([t.centre for t in touches(CAPACITIVE, 60, manner)])
        shares.append((np.abs(centres - 149.5).max(1) > 75).mean())
    assert shares[0] < 0.05 and shares[1] > 0.25


def test_hard_touches_do_as_they_are_called(master):
    dark = {
        manner.name: np.mean([dark_share(master, t) for t in touches(OPTICAL, 5, manner)])
        for manner in (PLAIN, DRY, WET)
    }
    assert dark["dry"] < 0.75 * dark["plain"] and dark["wet"] > 1.25 * dark["plain"]
    areas = [
        np.mean([np.prod(t.axes) for t in touches(OPTICAL, 20, manner)])
        for manner in (LIGHT, PLAIN)
    ]
    assert areas[0] < 0.65 * areas[1]


def test_half_of_the_touches_is_hard():
    rng = np.random.default_rng(0)
    names = [sample_manner(rng).name for _ in range(3000)]
    assert abs(names.count("plain") / 3000 - 1 / 2) < 0.04
    assert all(abs(names.count(manner.name) / 3000 - 1 / 10) < 0.02 for manner in HARD)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize("manner", HARD, ids=lambda manner: manner.name)
def test_a_build_finds_the_finger(master, style, manner):
    """At least half of where the skin is pressed, and nearly nothing far beside it.

    Of light prints in ink one in sixteen is found with a fifth of its paper.
    """
    beside = []
    for seed, touch in enumerate(touches(style, 5, manner)):
        image, level = render(master, touch, style, seed)
        found = foreground(image)
        assert found[level > -1].mean() > 0.5
        far = level < -12
        if far.any():
            beside.append(found[far].mean())
    assert len(beside) >= 2
    assert sum(share > 0.1 for share in beside) <= (style is INK)


def test_same_address_same_bytes_in_any_order(master):
    address = (5, "synthetic/test", 1)
    forward = [synthesize_impression(master, *address, k) for k in range(3)]
    backward = [synthesize_impression(master, *address, k) for k in (2, 1, 0)][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert np.array_equal(a.image, b.image)
        assert a.warp.to_json() == b.warp.to_json() and a.params == b.params
    assert not np.array_equal(forward[0].warp.matrix, forward[1].warp.matrix)


def restored(like, found):
    """What `found`, out of JSON, says of an object of the form of `like`."""
    if is_dataclass(like):
        assert found.keys() == vars(like).keys()
        return type(like)(**{name: restored(one, found[name]) for name, one in vars(like).items()})
    if isinstance(like, tuple):
        return tuple(restored(one, other) for one, other in zip(like, found, strict=True))
    return found


def test_image_is_drawn_again_from_its_record(master):
    """From warp and params out of a file, with the noise of the address: the same bytes.

    Where the warp had to be brought to another resolution and back, its last bits are rounded, and
    one px in thousands with them.
    """
    address, traces = (5, "synthetic/test", 1), []
    for k, style in enumerate(3 * STYLES):
        made = synthesize_impression(master, *address, k, (style,))
        rng, noise = generate._generator(*address, 1 + k).spawn(2)
        like = sample_touch(rng, style.placement, sample_manner(rng))
        found = json.loads(json.dumps(made.params))
        assert found.pop("style") == style.name
        sensor = restored(style.sample(rng), found.pop("sensor"))
        touch = restored(replace(like, warp=None), {**found, "warp": None})
        warp = Warp.from_json(json.loads(json.dumps(made.warp.to_json())))
        touch = replace(touch, warp=warp.at_scale(500 / made.ppi))
        again = render_image(sensor, made.ppi, *contact(master, touch, noise), noise)
        off = np.abs(again.astype(int) - made.image)
        assert off.max() <= (made.ppi != 500) and (off > 0).mean() < 1e-3
        traces += [touch.smear, touch.residue]
    assert any(traces[::2]) and any(traces[1::2])


def test_touch_is_recorded_as_far_as_its_warp_can_tell():
    """The matrix is of rotation, stretch and place; the middle of the finger stays behind."""
    for touch in touches(OPTICAL, 20, TWISTED):
        c, s = np.cos(touch.rotation), np.sin(touch.rotation)
        along_x, along_y, aslant = touch.stretch
        turn = np.array([[c, -s], [s, c]]) @ [[1 + along_x, aslant], [aslant, 1 + along_y]]
        assert np.allclose(touch.warp.matrix[:, :2], turn)
        finger = np.array([touch.finger])
        middle = (np.array(MASTER_SIZE[::-1]) - 1) / 2
        assert np.allclose(turn @ touch.finger + touch.warp.matrix[:, 2], middle)
        slip = np.linalg.solve(turn, (touch.warp(finger) - middle)[0])
        if touch.warp.strain < STRAIN - 0.01:  # not held back
            assert np.hypot(*(slip - touch.drag.slip)) < 5  # the spline smooths, and the jitter


def test_image_has_the_sensor_s_size(master):
    """In px of its own resolution."""
    sizes = {"optical": (374, 388), "thermal": (480, 300), "ink": (880, 800), "any": (455, 410)}
    for style in (style for style in STYLES if style.name in sizes):
        image = synthesize_impression(master, 5, "synthetic/test", 1, 0, (style,)).image
        assert image.shape == sizes[style.name] and image.dtype == np.uint8
    assert (
        synthesize_impression(master, 0, "x", 0, 0, (CAPACITIVE,)).params["style"] == "capacitive"
    )


def test_style_of_an_address_is_told_before_it_is_drawn(master, monkeypatch):
    blank = np.zeros((4, 4), np.float32)
    monkeypatch.setattr(generate, "contact", lambda *_: (blank, blank))
    told = set()
    for k in range(30):
        address = (5, "synthetic/test", k % 7, k)
        style, made = generate.sample_style(*address), synthesize_impression(master, *address)
        assert (style.name, style.ppi) == (made.params["style"], made.ppi)
        told.add(style)
    assert told == set(STYLES)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_warp_leads_from_px_of_the_sensor_s_own_resolution(master, style):
    """What a build makes of an image of any ppi shows the skin where its warp says, to 0.1 px."""
    off = []
    for k in range(5):
        made = synthesize_impression(master, 5, "synthetic/test", 1, k, (style,))
        back, to_file = to_working_resolution(made.image, made.ppi)
        grid = (pixel_grid(160, 160) + (np.array(back.shape[::-1]) - 160) / 2).reshape(-1, 2)
        skin = made.warp(apply_affine(to_file, grid))
        for axis in np.eye(2):
            low, mid, high = (
                correlation(-master.ridges, back, skin, grid + axis * step)
                for step in (-0.5, 0, 0.5)
            )
            off.append(0.25 * (low - high) / (low - 2 * mid + high))
    assert np.median(np.abs(off)) < 0.1
