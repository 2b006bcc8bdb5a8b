"""Contents of the plots, in numbers."""

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from prints import ridges

from model.registration import overlay, plot
from model.registration.dense_map import resample_onto_a
from model.registration.impression import PreparedImpression
from model.registration.result import Registration, empty_registration
from pipeline.imaging import preprocess
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.resolution import ImageResolution
from pipeline.imaging.warp import apply_affine, pixel_grid, rotation

SHAPE = (200, 180)
RESOLUTIONS = ImageResolution(500.0, "option"), ImageResolution(1000.0, "tag: pHYs")


@pytest.fixture(scope="module")
def image():
    """Vertical ridges with a period of 9 px."""
    x = np.arange(SHAPE[1])
    return np.tile(128 + 90 * np.sign(np.sin(x * 2 * np.pi / 9)), (SHAPE[0], 1)).astype(np.uint8)


def shift_map(pixels):
    return (pixel_grid(*SHAPE) + np.array([pixels, 0.0])).astype(np.float32)


def test_resampling_follows_the_map(image):
    shifted = np.roll(image, 5, 1)
    map_ab = shift_map(5)
    map_ab[:20] = np.nan
    resampled = resample_onto_a(shifted, map_ab)
    assert np.isnan(resampled[:20]).all()
    np.testing.assert_allclose(resampled[20:, :170], image[20:, :170])


def test_ink_is_on_dark_ridges_and_not_on_background(image):
    page = np.full(SHAPE, 250, np.uint8)
    page[50:150, 40:140] = image[50:150, 40:140]
    ink = overlay.ridge_ink(page)
    inner = page[70:130, 60:120]
    assert ink[70:130, 60:120][inner < 100].min() > 0.7
    assert ink[70:130, 60:120][inner > 200].max() < 0.1
    assert ink[:20].max() < 0.05
    assert ink.dtype == np.float32


def test_coinciding_ridges_are_darker(image):
    right = overlay.overlay(image, image.astype(np.float32))
    wrong = overlay.overlay(image, np.roll(image, 4, 1).astype(np.float32))
    assert (right.max(2) < 60).mean() > 0.3 > 0.1 > (wrong.max(2) < 60).mean()


def test_faint_ridges_have_as_much_ink_as_strong_ones(image):
    """The lower half has a twelfth of the contrast of the upper one."""
    faint = image.astype(float)
    faint[100:] = 128 + (faint[100:] - 128) / 12
    known = np.ones(SHAPE, bool)
    ink = overlay.ridge_ink(faint.astype(np.uint8), known)
    upper, lower = ink[20:70, 20:-20].mean(), ink[130:180, 20:-20].mean()
    assert lower == pytest.approx(upper, rel=0.15)
    quarter = (128 + (image.astype(float) - 128) / 4).astype(np.uint8)
    shown = overlay.even_contrast(np.r_[image, quarter])
    assert shown[260:380, 20:-20].std() == pytest.approx(shown[20:140, 20:-20].std(), rel=0.15)


def test_an_inverted_impression_is_laid_over_with_the_polarity_of_the_other(image):
    matches, map_ab = np.zeros((0, 5), np.float32), shift_map(0)
    registration = Registration(
        map_ab, 0.9, matches, 0.0, RESOLUTIONS, SHAPE, opposite_polarity=True
    )
    pictures = [
        axes.get_images()[0].get_array()
        for axes in plot.plot_registration(image, 255 - image, registration).get_axes()
        if axes.get_title().startswith("Ridges after")
    ]
    np.testing.assert_array_equal(
        pictures[0], overlay.overlay(image, image, np.isfinite(map_ab[..., 0]))
    )


def plotted_grid(image, map_ab):
    """The plotted segments [K, 2, 2] of the grid and their distances [K] in px."""
    axes = Figure().subplots()
    plot.plot_grid(axes, image, map_ab)
    rigid, mapped = axes.collections
    assert len(rigid.get_segments()) == len(mapped.get_segments())
    return np.array(mapped.get_segments()), mapped.get_array()


def test_grid_of_a_similarity_has_no_distance(image):
    rotated = apply_affine(1.1 * rotation(0.4, (90, 100)), pixel_grid(*SHAPE)).astype(np.float32)
    segments, distances = plotted_grid(image, rotated)
    assert distances.max() < 1e-3
    assert np.hypot(*np.diff(segments, axis=1)[:, 0].T) == pytest.approx(1.1, abs=1e-3)


def test_grid_shows_distortion(image):
    """A displacement of 6 px in the middle; and no line where nothing corresponds."""
    map_ab = shift_map(3)
    radius = np.hypot(*np.moveaxis(pixel_grid(*SHAPE) - (90, 100), -1, 0))
    map_ab[..., 1] += 6 * np.exp(-((radius / 30) ** 2))
    map_ab[:, :40] = np.nan
    segments, distances = plotted_grid(image, map_ab)
    radius = np.hypot(*(segments[:, 0] - (93, 103)).T)
    assert distances[radius < 8].min() > 3.5 > 2 > distances[radius > 60].max()
    assert segments[..., 0].min() >= 43


def test_a_map_between_the_lines_of_the_grid_is_no_error(image):
    map_ab = np.full((1200, 1200, 2), np.nan, np.float32)
    map_ab[1:26, 1:26] = pixel_grid(25, 25)  # the first lines lie at 30 px
    segments, _ = plotted_grid(image, map_ab)
    assert not len(segments)


@pytest.mark.parametrize("count", [0, 1, 500])
def test_plot_is_written_as_png(tmp_path, image, count):
    rng = np.random.default_rng(0)
    matches = np.c_[rng.uniform(0, 150, (count, 4)), rng.random(count)].astype(np.float32)
    registration = Registration(shift_map(5), 0.5, matches, 0.1, RESOLUTIONS, SHAPE)
    if not count:
        nowhere = np.full((*SHAPE, 2), np.nan, np.float32)
        registration = Registration(nowhere, 0.0, matches, float("nan"), RESOLUTIONS, SHAPE)
    image_b = np.roll(image, 5, 1)[:150]
    figure = plot.plot_registration(image, image_b, registration)
    titles = [axes.get_title() for axes in figure.get_axes()]
    assert "A: 500 ppi (option)\nB: 1000 ppi (tag: pHYs)" in titles
    assert {"A", "B"} <= {text.get_text() for axes in figure.get_axes() for text in axes.texts}
    colour_bars = [axes.get_ylabel() for axes in figure.get_axes() if axes.get_ylabel()]
    assert ("probability of a match" in colour_bars) == (count > 0)
    plot.save_plot(image, image_b, registration, tmp_path / "new" / "p.png")
    assert cv2.imread(str(tmp_path / "new" / "p.png")) is not None


def test_without_a_map_nothing_is_shown_as_registered(image):
    registration = empty_registration(
        SHAPE,
        0.02,
        RESOLUTIONS,
        SHAPE,
        True,
        "the map would have to bend too far, " * 5 + "so none",
    )
    figure = plot.plot_registration(image, image, registration)
    title = figure.get_suptitle()
    assert "no map: the map would have" in title and title.endswith("so none")
    assert max(map(len, title.splitlines())) <= plot.PLOT.title_width
    shown = [axes.get_title() for axes in figure.get_axes() if axes.get_images()]
    assert len(shown) == 2 and shown[1].startswith("Ridges before")
    texts = [text.get_text() for axes in figure.get_axes() for text in axes.texts]
    assert texts.count("no map") == 1


def test_no_ridges_are_shown_off_the_finger(image):
    """Grain beside the finger is not shown where the foreground is known."""
    rng = np.random.default_rng(0)
    noisy = np.where(np.arange(SHAPE[1]) < 90, image, rng.integers(0, 255, SHAPE)).astype(np.uint8)
    finger = np.zeros(SHAPE, bool)
    finger[:, :90] = True
    ink = overlay.ridge_ink(noisy, finger)
    assert ink[:, 90:].max() == 0 and ink[:, :90].max() > 0.9
    assert overlay.ridge_ink(noisy)[:, 90:].max() > 0.5


def test_foreground_is_in_px_of_the_file():
    """An image at 1000 ppi: the foreground of its half, twice as large."""
    image, inside = ridges(400, 360, period=18.0)
    prepared = preprocess.prepare(image, 1000.0)
    resolution = ImageResolution(1000.0, "option")
    impression = PreparedImpression(image.shape, prepared, resolution, Polarity.DARK)
    foreground = impression.foreground
    assert foreground.shape == image.shape and foreground.dtype == bool
    assert (foreground & inside).sum() > 0.85 * (foreground | inside).sum()
    centres = [np.argwhere(mask).mean(0) for mask in (foreground, inside)]
    np.testing.assert_allclose(*centres, atol=3)


@pytest.mark.parametrize("scale", [1, 2])
def test_ridges_before_registration_have_one_scale(image, scale):
    """B is A at another resolution: both coincide before any registration."""
    image_b = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    resolutions = ImageResolution(500.0, "option"), ImageResolution(500.0 * scale, "option")
    matches = np.empty((0, 5), np.float32)
    registration = Registration(shift_map(0), 0.5, matches, 0.0, resolutions, image_b.shape)
    figure = plot.plot_registration(image, image_b, registration)
    (before,) = [axes for axes in figure.get_axes() if axes.get_title().startswith("Ridges before")]
    shown = before.get_images()[0].get_array()
    np.testing.assert_allclose(shown, overlay.overlay(image, image.astype(np.float32)), atol=0.02)
