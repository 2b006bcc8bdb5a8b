"""What the pictures show, in numbers."""

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from model.registration import plot
from model.registration.result import Registration
from pipeline.imaging.warp import apply_affine, pixel_grid, rotation

SHAPE = (200, 180)


@pytest.fixture(scope="module")
def image():
    x = np.arange(SHAPE[1])
    return np.tile(128 + 90 * np.sign(np.sin(x * 2 * np.pi / 9)), (SHAPE[0], 1)).astype(np.uint8)


def shifted(by):
    return (pixel_grid(*SHAPE) + (by, 0.0)).astype(np.float32)  # noqa: RUF005


def test_carry_follows_the_map(image):
    moved = np.roll(image, 5, 1)
    found = shifted(5)
    found[:20] = np.nan
    carried = plot.resample_onto_a(moved, found)
    assert np.isnan(carried[:20]).all()
    np.testing.assert_allclose(carried[20:, :170], image[20:, :170])


def test_ink_is_on_dark_ridges_and_not_on_paper(image):
    page = np.full(SHAPE, 250, np.uint8)
    page[50:150, 40:140] = image[50:150, 40:140]
    ink = plot.ridge_ink(page)
    inner = page[70:130, 60:120]
    assert ink[70:130, 60:120][inner < 100].min() > 0.7
    assert ink[70:130, 60:120][inner > 200].max() < 0.1
    assert ink[:20].max() < 0.05
    assert ink.dtype == np.float32


def test_coinciding_ridges_are_darker(image):
    right = plot.overlay(image, image.astype(np.float32))
    wrong = plot.overlay(image, np.roll(image, 4, 1).astype(np.float32))
    assert (right.max(2) < 60).mean() > 0.3 > 0.1 > (wrong.max(2) < 60).mean()


def drawn_grid(image, map_ab):
    """The grid's pieces [K, 2, 2] as drawn, and how far [K] they are said to be off."""
    axes = Figure().subplots()
    plot.plot_grid(axes, image, map_ab)
    unbent, bent = axes.collections
    assert len(unbent.get_segments()) == len(bent.get_segments())
    return np.array(bent.get_segments()), bent.get_array()


def test_grid_of_a_similarity_is_not_bent(image):
    turned = apply_affine(1.1 * rotation(0.4, (90, 100)), pixel_grid(*SHAPE)).astype(np.float32)
    pieces, off = drawn_grid(image, turned)
    assert off.max() < 1e-3
    assert np.hypot(*np.diff(pieces, axis=1)[:, 0].T) == pytest.approx(1.1, abs=1e-3)


def test_grid_shows_where_skin_was_stretched(image):
    """A bump of 6 px in the middle; and nothing is drawn where nothing corresponds."""
    bumpy = shifted(3)
    away = np.hypot(*np.moveaxis(pixel_grid(*SHAPE) - (90, 100), -1, 0))
    bumpy[..., 1] += 6 * np.exp(-((away / 30) ** 2))
    bumpy[:, :40] = np.nan
    pieces, off = drawn_grid(image, bumpy)
    near = np.hypot(*(pieces[:, 0] - (93, 103)).T)
    assert off[near < 8].min() > 3.5 > 2 > off[near > 60].max()
    assert pieces[..., 0].min() >= 43


@pytest.mark.parametrize("count", [0, 1, 500])
def test_draw_writes_a_png(tmp_path, image, count):
    rng = np.random.default_rng(0)
    matches = np.c_[rng.uniform(0, 150, (count, 4)), rng.random(count)].astype(np.float32)
    found = Registration(shifted(5), 0.5, matches, 0.1)
    if not count:
        found = Registration(np.full((*SHAPE, 2), np.nan, np.float32), 0.0, matches, float("nan"))
    other = np.roll(image, 5, 1)[:150]
    plot.save_plot(image, other, found, tmp_path / "new" / "p.png")
    assert cv2.imread(str(tmp_path / "new" / "p.png")) is not None
