"""The network that ships, on synthetic fingers that it never saw, where the truth is known."""

import dataclasses

import cv2
import numpy as np
import pytest

from model.__main__ import SHIPPED
from model.registration.hypotheses import HypothesisParameters, best_hypothesis
from model.registration.impression import resample_onto
from model.registration.registrar import Registrar, RegistrarParameters
from model.registration.ridge_correlation import ridge_correlation
from pipeline.imaging.warp import IDENTITY, apply_affine, invert_affine, pixel_grid, rotation
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.generate import SyntheticImpression, synthesize_master
from pipeline.synthesis.manner import LIGHT, PLAIN, TWISTED, WET, Placement
from pipeline.synthesis.sensor import CAPACITIVE, INK, OPTICAL, THERMAL, VIGNETTED, synthesize_image
from pipeline.synthesis.touch import sample_touch

SEED, NAME = 2026, "shipped-test"
PAIRS = (  # of A and B, each finger's own
    ((OPTICAL, PLAIN), (CAPACITIVE, PLAIN)),
    ((THERMAL, PLAIN), (INK, TWISTED)),
    ((CAPACITIVE, PLAIN), (VIGNETTED, WET)),
    ((INK, PLAIN), (OPTICAL, LIGHT)),
)
FINGERS = len(PAIRS)


def touched(finger, *ways):
    """Impressions of the finger by (sensor, manner), or (sensor, manner, placement)."""
    rng, master = np.random.default_rng([SEED, finger]), synthesize_master(SEED, NAME, finger)
    made = []
    for style, manner, *placement in ways:
        touch = sample_touch(rng, *(placement or [style.placement]), manner)
        image = synthesize_image(style, *compute_contact(master, touch, rng), rng)
        warp = touch.warp.at_scale(style.ppi / 500)
        made.append(SyntheticImpression(image, warp, master.flow.label, {}, style.ppi))
    return made


@pytest.fixture(scope="module")
def registrar():
    return Registrar(SHIPPED)


def certain_at(correlation):
    """Parameters by which a deformation with this ridge correlation is certain."""
    hypotheses = HypothesisParameters(certain_correlation=correlation)
    return RegistrarParameters(hypotheses=hypotheses)


@pytest.fixture(scope="module")
def made():
    """Two impressions of each finger."""
    return [touched(finger, *ways) for finger, ways in enumerate(PAIRS)]


def registered(registrar, a, b):
    return registrar.register(a.image, a.ppi, b.image, b.ppi)


def error(found, a, b):
    """Distance in px at 500 ppi from the truth wherever the map says something."""
    points = pixel_grid(*a.image.shape)[::7, ::7].reshape(-1, 2)
    said = found.map_ab[::7, ::7].reshape(-1, 2)
    seen = np.isfinite(said[:, 0])
    return np.hypot(*(said - b.warp.inverse(a.warp(points)))[seen].T) * 500 / b.ppi


@pytest.mark.parametrize("finger", range(FINGERS))
def test_two_impressions_are_registered(registrar, made, finger):
    a, b = made[finger]
    found = registered(registrar, a, b)
    off = error(found, a, b)
    assert found.score > 0.9
    assert len(off) > 100
    assert np.median(off) < 1
    assert (off < 4).mean() > 0.95


@pytest.mark.parametrize("finger", range(FINGERS))
def test_two_fingers_are_not(registrar, made, finger):
    a, b = made[finger][0], made[(finger + 1) % FINGERS][1]
    assert registered(registrar, a, b).score < 0.3


@pytest.mark.parametrize("degrees", [90, 137, 180, 301])
def test_any_angle_is_found_out(registrar, made, degrees):
    a, b = made[0]
    height, width = b.image.shape
    side = int(np.hypot(height, width))
    turn = rotation(
        np.radians(degrees), ((width - 1) / 2, (height - 1) / 2), ((side - width) / 2,) * 2
    )
    turn[1, 2] += ((side - height) - (side - width)) / 2
    ground = float(np.median(b.image[:5]))
    turned = cv2.warpAffine(b.image, turn, (side, side), flags=cv2.INTER_CUBIC, borderValue=ground)
    found = registrar.register(a.image, 500, turned, 500)
    back = apply_affine(invert_affine(turn), found.map_ab.astype(float))
    plain = registered(registrar, a, b)
    apart = np.hypot(*np.moveaxis(back - plain.map_ab, -1, 0))
    assert found.score > 0.9
    assert np.nanmedian(apart) < 0.7
    assert np.nanpercentile(apart, 95) < 3


def test_light_ridges_make_no_difference(registrar, made):
    a, b = made[0]
    plain = registered(registrar, a, b)
    inverted = registrar.register(a.image, 500, 255 - b.image, 500)
    assert inverted.score == pytest.approx(plain.score, abs=0.05)


def test_both_ways_are_right_and_agree(registrar, made):
    """A → B → A comes home to half a px everywhere, and B → A is as near to the truth as A → B."""
    for a, b in made:
        there, back = registered(registrar, a, b), registered(registrar, b, a)
        assert there.score == back.score
        y, x = np.nonzero(np.isfinite(there.map_ab[..., 0]))
        y, x = y[::53], x[::53]
        at = there.map_ab[y, x][None]
        home = cv2.remap(back.map_ab, at, None, cv2.INTER_LINEAR, borderValue=(np.nan, np.nan))[0]
        away = np.hypot(*(home - np.c_[x, y]).T) * 500 / a.ppi
        assert np.nanmax(away) < 0.5
        assert np.isfinite(away).mean() > 0.95
        medians = [np.median(error(*way)) for way in ((there, a, b), (back, b, a))]
        assert medians[0] == pytest.approx(medians[1], abs=0.1)
        for found, scale in ((there, b.ppi / a.ppi), (back, a.ppi / b.ppi)):
            across, down = np.diff(found.map_ab, axis=1)[1:], np.diff(found.map_ab, axis=0)[:, 1:]
            area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
            assert np.nanmin(area) > 0.2 * scale**2  # no folds


def test_a_second_look_sees_b_where_the_first_map_lays_it(registrar, made):
    """In A's frame, its ridges on A's; and what the network matches there leads to the truth."""
    away = []
    for a, b in made:
        first, second = (registrar.prepare(each.image, each.ppi) for each in (a, b))
        found, agreed = best_hypothesis(
            registrar.match(first, second), first.ridge_image, second.ridge_image
        )
        laid = resample_onto(second, found, first)
        still = dataclasses.replace(found, matrix=IDENTITY, nodes=np.zeros_like(found.nodes))
        assert ridge_correlation(still, first.ridge_image, laid.ridge_image) == pytest.approx(
            agreed, abs=0.07
        )
        assert ridge_correlation(still, first.ridge_image, second.ridge_image) < 0.3
        again = registrar.match(first, laid)
        truth = b.warp.inverse(a.warp(apply_affine(first.prepared.to_original, again[:, :2])))
        off = apply_affine(second.prepared.to_original, found(again[:, 2:4])) - truth
        away.append(np.median(np.hypot(*off.T)) * 500 / b.ppi)
    assert max(away) < 9  # a ridge period
    assert np.median(away) < 4.5


def test_the_network_looks_again_in_doubt_and_the_better_map_is_kept(registrar, made, monkeypatch):
    pairs = [[registrar.prepare(each.image, each.ppi) for each in pair] for pair in made]
    looks, match = [], registrar.match
    monkeypatch.setattr(registrar, "match", lambda a, b: looks.append(a) or match(a, b))
    monkeypatch.setattr(registrar, "parameters", certain_at(0.0))
    once = [registrar.find_deformation(*pair)[2] for pair in pairs]
    assert len(looks) == len(pairs)
    monkeypatch.setattr(registrar, "parameters", certain_at(1.1))
    twice = [registrar.find_deformation(*pair)[2] for pair in pairs]
    assert len(looks) >= 3 * len(pairs)
    assert all(after >= before for before, after in zip(once, twice, strict=True))


def test_a_part_of_a_print_at_another_resolution(registrar):
    """150 × 150 px of B at 500 ppi, against A as a scanner of 1000 ppi gives it.

    So little can slide along its ridges: of the fingers the middle one is held to 1.5 px, and one
    may be missed.
    """
    off = []
    for finger in range(7):
        a, b = touched(finger, (INK, PLAIN), (OPTICAL, PLAIN))
        part = np.ascontiguousarray(b.image[110:260, 120:270])
        found = registrar.register(part, 500, a.image, 1000)
        y, x = np.nonzero(np.isfinite(found.map_ab[..., 0]))
        truth = a.warp.inverse(b.warp(np.c_[x + 120.0, y + 110.0]))
        if found.score > 0.9 and len(y) > 0.7 * part.size:
            off.append(np.median(np.hypot(*(found.map_ab[y, x] - truth).T)) / 2)
    assert len(off) >= 6
    assert np.median(off) < 1.5


def test_a_rolled_print_of_1600_px_and_a_part_of_a_plain_one(registrar):
    """A card's box at 1000 ppi, against 150 × 150 px of another touch at 500 ppi."""
    box = Placement((800, 750), (200, 268), 5, contact=10, pressure=0.05)
    a, b = touched(0, (OPTICAL, PLAIN, box), (OPTICAL, PLAIN))
    large = cv2.resize(a.image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    part = np.ascontiguousarray(b.image[130:280, 120:270])
    found = registrar.register(part, 500, large, 1000)
    y, x = np.nonzero(np.isfinite(found.map_ab[..., 0]))
    truth = a.warp.inverse(b.warp(np.c_[x + 120.0, y + 130.0]))
    off = np.hypot(*(found.map_ab[y, x] - 2 * truth - 0.5).T) / 2
    assert large.shape == (1600, 1500)
    assert found.score > 0.9
    assert len(y) > 0.5 * part.size
    assert np.median(off) < 1.5
    assert (off < 4).mean() > 0.9
