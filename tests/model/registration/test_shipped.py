"""The network that ships, on synthetic fingers that it was not trained on, with known truth."""

import dataclasses
import re

import cv2
import numpy as np
import pytest

from model.__main__ import SHIPPED
from model.registration.hypotheses import HypothesisParameters, best_hypothesis
from model.registration.impression import resample_onto
from model.registration.registrar import Registrar, RegistrarParameters
from model.registration.ridge_correlation import ridge_correlation
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.warp import IDENTITY, apply_affine, invert_affine, pixel_grid, rotation
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.generate import SyntheticImpression, synthesize_master
from pipeline.synthesis.manner import LIGHT, PLAIN, STRAINED, TWISTED, WET, Placement
from pipeline.synthesis.sensor import CAPACITIVE, INK, OPTICAL, THERMAL, VIGNETTED, synthesize_image
from pipeline.synthesis.touch import sample_touch

SEED, NAME = 2026, "shipped-test"
PAIRS = (  # sensor and manner of impressions A and B of each finger
    ((OPTICAL, PLAIN), (CAPACITIVE, PLAIN)),
    ((THERMAL, PLAIN), (INK, TWISTED)),
    ((CAPACITIVE, PLAIN), (VIGNETTED, WET)),
    ((INK, PLAIN), (OPTICAL, LIGHT)),
)
FINGERS = len(PAIRS)


def synthesize(finger, *settings):
    """Impressions of a finger, each by (sensor, manner) or (sensor, manner, placement)."""
    rng, master = np.random.default_rng([SEED, finger]), synthesize_master(SEED, NAME, finger)
    impressions = []
    for sensor, manner, *placement in settings:
        touch = sample_touch(rng, *(placement or [sensor.placement]), manner)
        image = synthesize_image(sensor, *compute_contact(master, touch, rng), rng)
        warp = touch.warp.at_scale(sensor.ppi / 500)
        impressions.append(SyntheticImpression(image, warp, master.flow.label, {}, sensor.ppi))
    return impressions


@pytest.fixture(scope="module")
def registrar():
    return Registrar(SHIPPED)


def certain_at(correlation):
    """Parameters by which a deformation with this ridge correlation is certain."""
    hypotheses = HypothesisParameters(certain_correlation=correlation)
    return RegistrarParameters(hypotheses=hypotheses)


@pytest.fixture(scope="module")
def pairs():
    """Two impressions of each finger."""
    return [synthesize(finger, *settings) for finger, settings in enumerate(PAIRS)]


def register(registrar, a, b):
    return registrar.register(a.image, a.ppi, b.image, b.ppi)


def errors(registration, a, b, where=True):
    """Distances from the truth in px at 500 ppi, wherever there is a map and `where` [H, W]."""
    points = pixel_grid(*a.image.shape)[::7, ::7].reshape(-1, 2)
    mapped = registration.map_ab[::7, ::7].reshape(-1, 2)
    valid = (where & np.isfinite(registration.map_ab[..., 0]))[::7, ::7].ravel()
    return np.hypot(*(mapped - b.warp.inverse(a.warp(points)))[valid].T) * 500 / b.ppi


def on_both_foregrounds(registrar, registration, a, b):
    """The pixels [H, W] of A on its foreground whose place in B is on that of B."""
    on_a, on_b = (registrar.prepare(x.image, x.ppi).foreground for x in (a, b))
    x, y = np.moveaxis(registration.map_ab, -1, 0)
    mapped = cv2.remap(on_b.astype(np.uint8), x, y, cv2.INTER_NEAREST)
    return on_a & (mapped > 0)


@pytest.mark.parametrize("finger", range(FINGERS))
def test_two_impressions_are_registered(registrar, pairs, finger):
    a, b = pairs[finger]
    registration = register(registrar, a, b)
    distances = errors(registration, a, b)
    assert registration.score > 0.9
    assert len(distances) > 100
    assert np.median(distances) < 1
    assert (distances < 4).mean() > 0.92  # with the margin around the foregrounds
    inside = on_both_foregrounds(registrar, registration, a, b)
    assert (errors(registration, a, b, inside) < 4).mean() > 0.95


@pytest.mark.parametrize("finger", [20, 21, 22])
def test_skin_that_is_pushed_far_is_registered(registrar, finger):
    """By 40 px at the median, so that one similarity transform explains few of the matches."""
    a, b = synthesize(finger, (OPTICAL, PLAIN), (OPTICAL, STRAINED))
    assert np.abs(b.warp.control).max() > 30
    registration = register(registrar, a, b)
    distances = errors(registration, a, b)
    assert registration.score > 0.9
    assert np.median(distances) < 1.5
    assert (distances < 8).mean() > 0.9


@pytest.mark.parametrize("finger", range(FINGERS))
def test_two_fingers_have_a_low_score_and_no_map(registrar, pairs, finger):
    a, b = pairs[finger][0], pairs[(finger + 1) % FINGERS][1]
    registration = register(registrar, a, b)
    assert registration.score < 0.1
    assert np.isnan(registration.map_ab).all() and registration.sigma is None
    assert re.search("no common area|different fingers|bend|matches", registration.refusal)


def test_uncertainty_holds_for_the_true_errors(registrar, pairs):
    """On B of 500 ppi and of another; of all pairs together, since errors of one are correlated."""
    ratios = []
    for a, b in pairs:
        registration = register(registrar, a, b)
        sigma, mapped = registration.sigma, registration.map_ab
        np.testing.assert_array_equal(np.isfinite(sigma), np.isfinite(mapped[..., 0]))
        y, x = np.nonzero(np.isfinite(sigma))
        y, x = y[::43], x[::43]
        truth = b.warp.inverse(a.warp(np.c_[x, y].astype(float)))
        ratios.append(np.abs(mapped[y, x] - truth) / sigma[y, x, None])
    within = np.concatenate(ratios)
    assert 0.6 < (within <= 1).mean() < 0.85
    assert (within <= 2).mean() > 0.88
    assert max(np.median(ratio) for ratio in ratios) < 1.2


def test_both_directions_are_equally_uncertain(registrar, pairs):
    a, b = pairs[0]
    forward, backward = register(registrar, a, b), register(registrar, b, a)
    y, x = np.nonzero(np.isfinite(forward.sigma))
    column, row = np.rint(forward.map_ab[y, x]).astype(int).T
    inside = (row >= 0) & (row < len(backward.sigma)) & (column >= 0)
    inside &= column < backward.sigma.shape[1]
    pairs_of = forward.sigma[y, x][inside] / (b.ppi / a.ppi), backward.sigma[row, column][inside]
    ratio = pairs_of[0] / pairs_of[1]
    assert np.nanquantile(ratio, [0.02, 0.98]) == pytest.approx([1, 1], abs=0.15)


@pytest.mark.parametrize("degrees", [90, 137, 180, 301])
def test_impression_at_any_angle_is_registered(registrar, pairs, degrees):
    a, b = pairs[0]
    height, width = b.image.shape
    side = int(np.hypot(height, width))
    turn = rotation(
        np.radians(degrees), ((width - 1) / 2, (height - 1) / 2), ((side - width) / 2,) * 2
    )
    turn[1, 2] += ((side - height) - (side - width)) / 2
    ground = float(np.median(b.image[:5]))
    turned = cv2.warpAffine(b.image, turn, (side, side), flags=cv2.INTER_CUBIC, borderValue=ground)
    registration = registrar.register(a.image, 500, turned, 500)
    turned_back = apply_affine(invert_affine(turn), registration.map_ab.astype(float))
    upright = register(registrar, a, b)
    distances = np.hypot(*np.moveaxis(turned_back - upright.map_ab, -1, 0))
    assert registration.score > 0.9
    assert np.nanmedian(distances) < 0.7
    assert np.nanpercentile(distances, 95) < 3


def test_light_ridges_give_the_same_score(registrar, pairs):
    a, b = pairs[0]
    dark = register(registrar, a, b)
    light = registrar.register(a.image, 500, 255 - b.image, 500)
    assert light.score == pytest.approx(dark.score, abs=0.05)


@pytest.mark.parametrize("finger", range(FINGERS))
def test_light_ridges_that_fill_the_image_are_registered_as_dark_ones(registrar, pairs, finger):
    """Not half a ridge period beside: a part of A inverted, with B; and both inverted."""
    a, b = pairs[finger]
    height, width = a.image.shape
    reach = round(0.17 * a.ppi)
    top, left = height // 2 - reach, width // 2 - reach
    part = np.ascontiguousarray(a.image[top : top + 2 * reach, left : left + 2 * reach])
    assert registrar.prepare(part, a.ppi).polarity is Polarity.UNDECIDED
    dark = registrar.register(part, a.ppi, b.image, b.ppi)
    for image_a, image_b, opposite in (
        (255 - part, b.image, True),
        (part, 255 - b.image, True),
        (255 - part, 255 - b.image, False),
    ):
        light = registrar.register(image_a, a.ppi, image_b, b.ppi)
        assert light.opposite_polarity == opposite
        assert light.score == pytest.approx(dark.score, abs=0.05)
        assert np.nanmedian(np.hypot(*np.moveaxis(light.map_ab - dark.map_ab, -1, 0))) < 1
    assert dark.score > 0.9 and not dark.opposite_polarity


def test_both_directions_are_right_and_agree(registrar, pairs):
    """A → B → A is right to half a pixel everywhere; B → A is as close to the truth as A → B."""
    for a, b in pairs:
        forward, backward = register(registrar, a, b), register(registrar, b, a)
        assert forward.score == backward.score
        y, x = np.nonzero(np.isfinite(forward.map_ab[..., 0]))
        y, x = y[::53], x[::53]
        points = forward.map_ab[y, x][None]
        border = (np.nan, np.nan)
        returned = cv2.remap(backward.map_ab, points, None, cv2.INTER_LINEAR, borderValue=border)[0]
        distances = np.hypot(*(returned - np.c_[x, y]).T) * 500 / a.ppi
        assert np.nanmax(distances) < 0.5
        assert np.isfinite(distances).mean() > 0.95
        forward_median = np.median(errors(forward, a, b))
        assert forward_median == pytest.approx(np.median(errors(backward, b, a)), abs=0.1)
        assert_no_folds(forward.map_ab, b.ppi / a.ppi)
        assert_no_folds(backward.map_ab, a.ppi / b.ppi)


def assert_no_folds(map_ab, scale):
    across, down = np.diff(map_ab, axis=1)[1:], np.diff(map_ab, axis=0)[:, 1:]
    area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
    assert np.nanmin(area) > 0.2 * scale**2


def test_impression_resampled_onto_another_is_matched_again(registrar, pairs):
    """In A's frame the ridges of B lie on A's, and the network's matches there are right."""
    medians = []
    for a, b in pairs:
        first = registrar.prepare(a.image, a.ppi)
        second = registrar.prepare(b.image, b.ppi)
        deformation, correlation = best_hypothesis(
            registrar.match(first, second), first.ridge_image, second.ridge_image
        )
        resampled = resample_onto(second, deformation, first)
        zero = np.zeros_like(deformation.nodes)
        identity = dataclasses.replace(deformation, matrix=IDENTITY, nodes=zero)
        after = ridge_correlation(identity, first.ridge_image, resampled.ridge_image)
        assert after == pytest.approx(correlation, abs=0.07)
        assert ridge_correlation(identity, first.ridge_image, second.ridge_image) < 0.3
        matches = registrar.match(first, resampled)
        truth = b.warp.inverse(a.warp(apply_affine(first.prepared.to_original, matches[:, :2])))
        points = apply_affine(second.prepared.to_original, deformation(matches[:, 2:4]))
        medians.append(np.median(np.hypot(*(points - truth).T)) * 500 / b.ppi)
    assert max(medians) < 9  # a ridge period
    assert np.median(medians) < 4.5


def test_doubtful_pairs_are_matched_again_and_the_better_map_is_kept(registrar, pairs, monkeypatch):
    prepared = [[registrar.prepare(each.image, each.ppi) for each in pair] for pair in pairs]
    passes, match = [], registrar.match
    monkeypatch.setattr(registrar, "match", lambda a, b: passes.append(a) or match(a, b))
    monkeypatch.setattr(registrar, "parameters", certain_at(0.0))
    once = [registrar.find_deformation(*pair).correlation for pair in prepared]
    assert len(passes) == len(prepared)
    monkeypatch.setattr(registrar, "parameters", certain_at(1.1))
    repeated = [registrar.find_deformation(*pair).correlation for pair in prepared]
    assert len(passes) >= 3 * len(prepared)
    assert all(after >= before for before, after in zip(once, repeated, strict=True))


def test_part_of_an_impression_at_another_resolution(registrar):
    """150 × 150 px of B at 500 ppi, against A from a scanner of 1000 ppi.

    So small a part can slide along its ridges: the median over the fingers is within 1.5 px, and
    one finger may fail.
    """
    medians = []
    for finger in range(7):
        a, b = synthesize(finger, (INK, PLAIN), (OPTICAL, PLAIN))
        part = np.ascontiguousarray(b.image[110:260, 120:270])
        registration = registrar.register(part, 500, a.image, 1000)
        y, x = np.nonzero(np.isfinite(registration.map_ab[..., 0]))
        truth = a.warp.inverse(b.warp(np.c_[x + 120.0, y + 110.0]))
        if registration.score > 0.9 and len(y) > 0.7 * part.size:
            distances = np.hypot(*(registration.map_ab[y, x] - truth).T)
            medians.append(np.median(distances) / 2)
    assert len(medians) >= 6
    assert np.median(medians) < 1.5


def test_rolled_impression_of_1600_px_and_part_of_a_plain_one(registrar):
    """The box of a fingerprint card at 1000 ppi, against 150 × 150 px of a touch at 500 ppi."""
    box = Placement((800, 750), (200, 268), 5, contact=10, pressure=0.05)
    a, b = synthesize(0, (OPTICAL, PLAIN, box), (OPTICAL, PLAIN))
    large = cv2.resize(a.image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    part = np.ascontiguousarray(b.image[130:280, 120:270])
    registration = registrar.register(part, 500, large, 1000)
    y, x = np.nonzero(np.isfinite(registration.map_ab[..., 0]))
    truth = a.warp.inverse(b.warp(np.c_[x + 120.0, y + 130.0]))
    distances = np.hypot(*(registration.map_ab[y, x] - 2 * truth - 0.5).T) / 2
    assert large.shape == (1600, 1500)
    assert registration.score > 0.9
    assert len(y) > 0.5 * part.size
    assert np.median(distances) < 1.5
    assert (distances < 4).mean() > 0.9
