"""Comparison of real and synthetic impressions: measures of analytic patterns, the classifier."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from prints import finger, ridges
from sklearn.metrics import roc_auc_score

from pipeline.__main__ import main
from pipeline.imaging.preprocess import SegmentedImage
from pipeline.imaging.warp import IDENTITY, pixel_grid
from pipeline.realism.classifier import (
    binary_patterns,
    cross_validated_auc,
    feature_groups,
    texture_features,
)
from pipeline.realism.compare import compare, distances
from pipeline.realism.impression_set import ImpressionSet, list_impressions
from pipeline.realism.measures import measure, sample_crops
from pipeline.realism.minutiae import detect_minutiae, thin
from pipeline.realism.spectra import DEFAULT, radial_spectrum, ridge_periods

CROP, BINS = DEFAULT.crop, DEFAULT.bins
FVC = Path(__file__).parents[4] / "shared/data/fvc2002"


def wave(period, angle=0.3, share=None, size=256):
    """Parallel ridges uint8 [size, size]; `share` of the period is ridge, or a sine."""
    x, y = np.moveaxis(pixel_grid(size, size), -1, 0)
    phase = ((np.cos(angle) * x + np.sin(angle) * y) / period) % 1
    grey = 127 + 100 * np.cos(2 * np.pi * phase) if share is None else 255 * (phase > share)
    return np.asarray(grey).round().astype(np.uint8)


def measured(image, mask=None):
    mask = np.ones(image.shape, bool) if mask is None else mask
    prepared = SegmentedImage(image, mask, IDENTITY, (0.0, 0.0))
    return measure(prepared, "f", np.random.default_rng(0))


@pytest.mark.parametrize("period", [6.7, 9.0, 11.4])
def test_ridge_period_of_waves_and_rings(period):
    image = wave(period)
    measured_periods = ridge_periods(image, np.ones(image.shape, bool))
    assert len(measured_periods) == 49
    assert np.abs(measured_periods - period).max() < 0.1 * period / 9
    rings, inside = ridges(300, 300, period=period)
    assert np.median(ridge_periods(rings, inside)) == pytest.approx(period, abs=0.15)


def test_coherence_of_ridges_and_of_noise():
    noise = np.random.default_rng(0).integers(0, 256, (256, 256)).astype(np.uint8)
    straight, none = (measured(i).values["orientation coherence"] for i in (wave(9.0), noise))
    assert straight.min() > 0.9 and np.median(none) < 0.3


def test_ridge_share_of_a_pattern():
    for share in (0.3, 0.5, 0.7):
        values = measured(wave(10.0, share=share)).values["ridge share of ridge and valley"]
        assert values.mean() == pytest.approx(share, abs=0.06)


def test_turn_of_rings():
    """At a radius of r px the ridges turn by 1/r rad per px."""
    image, _ = ridges(300, 300, core=(0.0, 400.0))
    values = measured(image).values["turn of the ridges, degrees a mm"]
    assert np.median(values) == pytest.approx(np.degrees(500 / 25.4 / 400), rel=0.15)


def dislocations(places, period=9.0, size=320):
    """Level ridges with one more above than below each place (x, y)."""
    x, y = np.moveaxis(pixel_grid(size, size), -1, 0)
    phase = 2 * np.pi * y / period + sum(np.arctan2(y - b, x - a) for a, b in places)
    return (127 + 100 * np.cos(phase)).round().astype(np.uint8)


def test_minutiae_lie_where_a_ridge_begins():
    places = np.array([(80.3, 90.4), (200.3, 100.6), (140.2, 180.4), (70.4, 240.3), (230.6, 231.2)])
    image = dislocations(places)
    everywhere = np.ones(image.shape, bool)
    endings, bifurcations, searched = detect_minutiae(image, everywhere, 9.0)
    points = np.concatenate([endings, bifurcations])
    distances = np.hypot(*(points[:, None] - places[None]).transpose(2, 0, 1))
    assert len(points) == 5 and distances.min(0).max() < 12
    assert searched.sum() == (320 - 2 * 20) ** 2
    assert not any(map(len, detect_minutiae(dislocations([]), everywhere, 9.0)[:2]))


def test_inverting_an_image_exchanges_endings_and_bifurcations():
    places = [(80.3, 90.4), (200.3, 100.6), (140.2, 180.4), (70.4, 240.3), (230.6, 231.2)]
    image = dislocations(places)
    everywhere = np.ones(image.shape, bool)
    endings, bifurcations, _ = detect_minutiae(image, everywhere, 9.0)
    inverted = detect_minutiae(255 - image, everywhere, 9.0)
    assert (len(endings), len(bifurcations)) == (
        len(inverted.bifurcations),
        len(inverted.endings),
    )


def test_thinning_leaves_lines_of_one_px():
    bars = np.zeros((60, 60), bool)
    bars[10:16, 5:55] = bars[30:37, 5:55] = True
    skeleton = thin(bars)
    assert (skeleton & ~bars).sum() == 0
    assert set(skeleton[:, 20:40].sum(0)) == {2}


def test_contrast_area_and_greys():
    image, inside = ridges(300, 300, light=200, dark=100)
    values = measured(image, inside).values
    assert values["foreground, mm²"] == pytest.approx(inside.sum() * (25.4 / 500) ** 2)
    assert 30 < np.median(values["local contrast, grey levels"]) < 50
    assert set(values["grey of the ground"]) == {200.0}
    assert values["grey on the finger"].min() < 105


def test_spectrum_peaks_at_the_wave():
    for period in (5.0, 9.0, 16.0):
        assert np.argmax(radial_spectrum(wave(period, size=CROP))) == int(2 * BINS / period)


def test_crops_lie_in_the_finger():
    image, inside = ridges(400, 400)
    image = np.where(inside, image, np.uint8(0))
    crops = sample_crops(image, inside, np.random.default_rng(0))
    assert len(crops) == 4 and all((crop > 0).mean() > 0.95 for crop in crops)
    assert sample_crops(image, inside & (np.arange(400) < 130), np.random.default_rng(0)) == []


def test_auc_of_four_scores():
    positive = np.array([False, False, True, True])
    assert roc_auc_score(positive, [1.0, 2, 3, 4]) == 1
    assert roc_auc_score(positive, [4.0, 3, 2, 1]) == 0
    assert roc_auc_score(positive, [1.0, 3, 2, 4]) == 0.75
    assert roc_auc_score(positive, np.zeros(4)) == 0.5


def test_binary_patterns_depend_on_grain_and_not_on_brightness():
    crop = wave(9.0, size=CROP)
    darker = (crop // 2).astype(np.uint8)
    assert np.abs(binary_patterns(crop, 2) - binary_patterns(2 * darker, 2)).max() < 0.1
    grainy = np.clip(crop + np.random.default_rng(0).normal(0, 12, crop.shape), 0, 255)
    assert (
        np.abs(binary_patterns(crop, 1) - binary_patterns(grainy.astype(np.uint8), 1)).max() > 0.2
    )
    assert (binary_patterns(crop, 4) ** 2).sum() == pytest.approx(1)


def two_sets(rng, between, shift=0.0):
    """Features of two sets of 12 fingers × 10 crops."""
    fingers = [str(k // 10) for k in range(120)]
    means = [np.repeat(rng.normal(0, between, (12, 8)), 10, 0) for _ in range(2)]
    a, b = [mean + rng.normal(0, 1, (120, 8)) for mean in means]
    return a, fingers, b + shift, [f"other {name}" for name in fingers]


def test_classifier_separates_different_sets_alone():
    rng = np.random.default_rng(1)
    assert cross_validated_auc(*two_sets(rng, 0.3, shift=2.0)) > 0.95
    assert np.mean([cross_validated_auc(*two_sets(rng, 0.3)) for _ in range(10)]) == pytest.approx(
        0.5, abs=0.06
    )


def test_classifier_does_not_profit_from_different_fingers():
    """With fingers far apart, a cross-validation by crop would recognise each of them."""
    rng = np.random.default_rng(2)
    assert np.mean([cross_validated_auc(*two_sets(rng, 5.0)) for _ in range(20)]) < 0.65


def test_group_sizes_sum_to_the_number_of_features():
    assert sum(feature_groups().values()) == len(texture_features(wave(9.0, size=CROP)))


def test_one_finger_cannot_be_cross_validated():
    x = np.zeros((3, 8))
    assert np.isnan(cross_validated_auc(x, ["a"] * 3, x, ["b", "c", "d"]))


def impression_set(impressions):
    """A set of one impression per finger."""
    impressions = [replace(one, finger=str(k)) for k, one in enumerate(impressions)]
    fingers = [one.finger for one in impressions for _ in one.crops]
    features = np.array([texture_features(crop) for one in impressions for crop in one.crops])
    return ImpressionSet(["x"], impressions, ["x"] * len(impressions), [], fingers, features)


def folder(path, seeds, blur=0.0):
    """Write two images of each finger, in the layout of no data set."""
    path.mkdir()
    for seed in seeds:
        for k in range(2):
            image = finger(seed, 300, 280).astype(np.float32)
            image = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
            grain = np.random.default_rng([seed, k]).normal(0, 5, image.shape)
            grey = np.clip(image + grain, 0, 255).astype(np.uint8)
            cv2.imwrite(str(path / f"{seed}_{k}.png"), grey)
    return path


def test_report_of_two_folders(tmp_path):
    real = folder(tmp_path / "real", range(6))
    (tmp_path / "real/blank_0.png").write_bytes(
        cv2.imencode(".png", np.full((200, 200), 255, np.uint8))[1].tobytes()
    )
    other = folder(tmp_path / "other", range(10, 16), blur=2.0)
    report = compare([real], other, tmp_path / "out")
    assert json.loads((tmp_path / "out/report.json").read_text()) == report
    assert report["real"]["prints"] == 12 and report["real"]["fingers"] == 6
    assert "blank_0.png: no foreground" in report["real"]["rejected"][0]
    assert report["auc"] > 0.95 and report["auc_halves_of_real"] < 0.8
    assert report["distances"]["local contrast, grey levels"]["ks"] > 0.5
    assert report["distances"]["ridge period, px"]["ks"] < 0.4
    page = (tmp_path / "out/report.html").read_text()
    assert "left out as they cannot be used: 1<" in page and page.count("data:image/png") == 2
    assert "http" not in page and "--ink" in page  # everything is in the page, the style included


def test_no_background_distance_of_impressions_that_fill_their_images():
    impressions = impression_set([measured(wave(9.0, angle)) for angle in (0.2, 0.4, 0.6, 0.8)])
    result = distances(impressions, impressions)
    assert result["grey of the ground"]["ks"] is None
    assert result["ridge period, px"]["ks"] == 0


def test_command_and_its_errors(tmp_path):
    few = folder(tmp_path / "few", range(3))
    arguments = ["compare", str(few), str(few), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and "few: has 3 fingers" in result.output
    result = CliRunner().invoke(main, ["compare", str(tmp_path / "no"), str(few), "--out", "x"])
    assert result.exit_code == 2
    more = folder(tmp_path / "more", range(3, 6))
    enough = folder(tmp_path / "enough", range(6))
    arguments = ["compare", str(few), str(more), str(enough), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0 and "AUC of real against synthetic" in result.output
    assert "ridge period, px                 0.000" in result.output  # the same images
    assert f"AUC of {few} against {more}" in result.output
    assert (
        f"{few}, {more}: 12 impressions of\n6 fingers" in (tmp_path / "out/report.html").read_text()
    )
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(main, [*arguments[:-1], str(tmp_path / "file")])
    assert result.exit_code == 2 and "cannot be written" in result.output


def test_data_sets_are_recognised_by_their_layout(tmp_path):
    inner = tmp_path / "DB2_B"
    inner.mkdir()
    for k in (1, 2):
        (inner / f"101_{k}.tif").write_bytes(b"")
    assert [i.ppi for i in list_impressions([tmp_path])] == [569.0, 569.0]
    (tmp_path / "own").mkdir()
    (tmp_path / "own/a_b_1.png").write_bytes(b"")
    own = tmp_path / "own"
    assert [(i.finger, i.ppi) for i in list_impressions([own])] == [(f"{own}/a_b", 500.0)]


def test_folders_listed_twice_and_equal_names_in_two_folders(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1_1.png").write_bytes(b"")
    listed = list_impressions([tmp_path / "one", tmp_path / "two", tmp_path / "one/../two"])
    assert [i.path.parent.name for i in listed] == ["one", "two"]
    assert len({i.finger for i in listed}) == len({i.partition for i in listed}) == 2


@pytest.mark.skipif(not FVC.is_dir(), reason="FVC2002 is not available")
def test_two_sensors_are_separated_and_halves_of_one_are_not():
    def features_of(name):
        paths = sorted((FVC / name).glob("10[1-6]_[14].tif"))
        assert len(paths) == 12  # two impressions of six fingers
        images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
        middle = [i[i.shape[0] // 2 - 64 :, i.shape[1] // 2 - 64 :][:CROP, :CROP] for i in images]
        return np.array([texture_features(crop) for crop in middle]), [
            path.stem[:3] for path in paths
        ]

    assert cross_validated_auc(*features_of("DB1_B"), *features_of("DB3_B")) > 0.95
    x, fingers = features_of("DB1_B")
    assert cross_validated_auc(x[:6], fingers[:6], x[6:], fingers[6:]) < 0.95
