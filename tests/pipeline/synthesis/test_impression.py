"""Impressions: their maps agree with their images; same address, same bytes."""

import json
from dataclasses import is_dataclass, replace

import cv2
import numpy as np
import pytest
from touches import correlation_at, peak_offset, render, sample_at, sample_touches

from pipeline.imaging.foreground import foreground
from pipeline.imaging.preprocess import to_working_resolution
from pipeline.imaging.warp import Warp, apply_affine, pixel_grid
from pipeline.synthesis import generate
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from pipeline.synthesis.manner import HARD, PLAIN, TWISTED, sample_manner
from pipeline.synthesis.sensor import CAPACITIVE, GENERIC, INK, OPTICAL, STYLES, render_image
from pipeline.synthesis.touch import sample_touch

PARTITION = "synthetic/test"


@pytest.fixture(scope="module")
def master():
    return synthesize_master(5, PARTITION, 1)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_images_agree_where_the_map_says_and_not_beside(master, style):
    """The map between two impressions, composed from their warps."""
    clean = {"dryness": 0.0, "moisture": 0.0, "pressure": 0.0, "slope": (0.0, 0.0)}
    touch_a, touch_b = sample_touches(style, 2, **clean, smear=None, residue=None)
    image_a, pressure_a = render(master, touch_a, style, 1)
    image_b, pressure_b = render(master, touch_b, style, 2)
    points = pixel_grid(*touch_a.size)[pressure_a > -0.6]
    mapped = touch_b.warp.inverse(touch_a.warp(points))
    on_both = sample_at(pressure_b, mapped) > -0.6
    assert on_both.mean() > 0.4
    points, mapped = points[on_both], mapped[on_both]
    correlation = correlation_at(image_a, image_b, points, mapped)
    assert correlation > 0.6
    for shift in np.array([(1, 0), (-1, 0), (0, 1), (0, -1)]):
        assert correlation_at(image_a, image_b, points, mapped + 0.5 * shift) < correlation
        assert correlation_at(image_a, image_b, points, mapped + 2 * shift) < correlation - 0.2


@pytest.mark.parametrize("manner", [PLAIN, TWISTED], ids=lambda manner: manner.name)
def test_map_is_exact_by_the_images(master, manner):
    """The shift of B on A with the highest correlation is zero."""
    a, b = sample_touches(OPTICAL, 2, manner, dryness=0.0, moisture=0.0, pressure=0.0)
    images = [render(master, touch, OPTICAL, k)[0] for k, touch in enumerate((a, b))]
    centre = (np.array(a.size[::-1]) - 1) / 2
    points = (pixel_grid(160, 160) - 80 + centre).reshape(-1, 2)
    mapped = b.warp.inverse(a.warp(points))
    for axis in np.eye(2):
        assert abs(peak_offset(*images, points, mapped, axis)) < 0.05


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_ridges_are_dark(master, style):
    for touch in sample_touches(style, 3):
        image, pressure = render(master, touch, style)
        positions = touch.warp.dense(*touch.size).astype(np.float32)
        ridges = cv2.remap(master.ridges, positions[..., 0], positions[..., 1], cv2.INTER_LINEAR)
        middle = pressure > -0.5
        assert image[middle & (ridges > 0.7)].mean() + 20 < image[middle & (ridges < -0.7)].mean()


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_ground_is_lighter_than_ridges(master, style):
    touch = sample_touches(style, 1)[0]
    image, pressure = render(master, touch, style)
    ground = image[pressure < -8]
    assert ground.mean() > (250 if style is OPTICAL else 95)
    assert ground.mean() > np.percentile(image, 10) + (25 if style is GENERIC else 40)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize("manner", HARD, ids=lambda manner: manner.name)
def test_foreground_is_the_finger(master, style, manner):
    """At least half of the pressed skin, and nearly nothing far from it.

    Of light impressions in ink one in sixteen has a foreground with a fifth of its paper.
    """
    ground_shares = []
    for seed, touch in enumerate(sample_touches(style, 5, manner)):
        image, pressure = render(master, touch, style, seed)
        mask = foreground(image)
        assert mask[pressure > -1].mean() > 0.5
        ground = pressure < -12
        if ground.any():
            ground_shares.append(mask[ground].mean())
    assert len(ground_shares) >= 2
    assert sum(share > 0.1 for share in ground_shares) <= (style is INK)


def test_same_address_gives_same_bytes_in_any_order(master):
    address = (5, PARTITION, 1)
    forward = [synthesize_impression(master, *address, k) for k in range(3)]
    backward = [synthesize_impression(master, *address, k) for k in (2, 1, 0)][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert np.array_equal(a.image, b.image)
        assert a.warp.to_json() == b.warp.to_json() and a.params == b.params
    assert not np.array_equal(forward[0].warp.matrix, forward[1].warp.matrix)


def restore(like, fields):
    """Make an object of the type of `like` from `fields`, read from JSON."""
    if is_dataclass(like):
        assert fields.keys() == vars(like).keys()
        values = {name: restore(value, fields[name]) for name, value in vars(like).items()}
        return type(like)(**values)
    if isinstance(like, tuple):
        return tuple(restore(value, field) for value, field in zip(like, fields, strict=True))
    return fields


def test_image_is_rendered_again_from_its_record(master):
    """From warp and params out of a file, with the noise of the address: the same bytes.

    Where the warp was converted to another resolution and back, its last bits are rounded, and one
    px in thousands changes by a grey level.
    """
    address, traces = (5, PARTITION, 1), []
    for k, style in enumerate(3 * STYLES):
        impression = synthesize_impression(master, *address, k, (style,))
        rng, noise = generate._generator(*address, 1 + k).spawn(2)
        like = sample_touch(rng, style.placement, sample_manner(rng))
        fields = json.loads(json.dumps(impression.params))
        assert fields.pop("style") == style.name
        sensor = restore(style.sample(rng), fields.pop("sensor"))
        touch = restore(replace(like, warp=None), {**fields, "warp": None})
        warp = Warp.from_json(json.loads(json.dumps(impression.warp.to_json())))
        touch = replace(touch, warp=warp.at_scale(500 / impression.ppi))
        skin, pressure = compute_contact(master, touch, noise)
        again = render_image(sensor, impression.ppi, skin, pressure, noise)
        difference = np.abs(again.astype(int) - impression.image)
        assert difference.max() <= (impression.ppi != 500) and (difference > 0).mean() < 1e-3
        traces += [touch.smear, touch.residue]
    assert any(traces[::2]) and any(traces[1::2])


def test_image_has_the_size_of_the_sensor(master):
    """In px of its own resolution."""
    sizes = {"optical": (374, 388), "thermal": (480, 300), "ink": (880, 800), "any": (455, 410)}
    for style in (style for style in STYLES if style.name in sizes):
        image = synthesize_impression(master, 5, PARTITION, 1, 0, (style,)).image
        assert image.shape == sizes[style.name] and image.dtype == np.uint8
    capacitive = synthesize_impression(master, 0, "x", 0, 0, (CAPACITIVE,))
    assert capacitive.params["style"] == "capacitive"


def test_style_of_an_address_can_be_sampled_without_its_image(master, monkeypatch):
    blank = np.zeros((4, 4), np.float32)
    monkeypatch.setattr(generate, "compute_contact", lambda *_: (blank, blank))
    monkeypatch.setattr(generate, "_has_foreground", lambda _: True)
    styles = set()
    for k in range(30):
        address = (5, PARTITION, k % 7, k)
        style = generate.sample_style(*address)
        impression = synthesize_impression(master, *address)
        assert (style.name, style.ppi) == (impression.params["style"], impression.ppi)
        styles.add(style)
    assert styles == set(STYLES)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_warp_starts_at_px_of_the_sensor_s_own_resolution(master, style):
    """After resampling to 500 ppi an image shows the skin where its warp says, to 0.1 px."""
    offsets = []
    for k in range(5):
        impression = synthesize_impression(master, 5, PARTITION, 1, k, (style,))
        image, to_file = to_working_resolution(impression.image, impression.ppi)
        points = (pixel_grid(160, 160) + (np.array(image.shape[::-1]) - 160) / 2).reshape(-1, 2)
        on_master = impression.warp(apply_affine(to_file, points))
        offsets += [
            peak_offset(-master.ridges, image, on_master, points, axis) for axis in np.eye(2)
        ]
    assert np.median(np.abs(offsets)) < 0.1
