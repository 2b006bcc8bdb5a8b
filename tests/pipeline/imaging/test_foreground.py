"""Segmentation of the finger on glass, on grey and on printed cards, and of images without one."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from prints import ridges

from pipeline.imaging import preprocess
from pipeline.imaging.file import load
from pipeline.imaging.foreground import foreground, with_faint_ridges
from pipeline.synthesis.contact import compute_contact
from pipeline.synthesis.encode import resample
from pipeline.synthesis.generate import synthesize_master
from pipeline.synthesis.nist_tables import ROLL
from pipeline.synthesis.sensor import CAPACITIVE, OPTICAL, synthesize_image
from pipeline.synthesis.touch import sample_touch
from shards.foundation.errors import Fault

REAL = Path(__file__).parents[4] / "shared/data/fvc2002"
CARD = (750, 800)  # px at 500 ppi, the box of a rolled print
CONTACT = -1.2  # level of the skin from which on it leaves a trace
GOOD = ridges(200, 200)[0]


def overlap(mask, finger):
    """Intersection over union, and the area beside the finger relative to the finger's."""
    return (mask & finger).sum() / (mask | finger).sum(), (mask & ~finger).sum() / finger.sum()


@pytest.fixture(scope="module")
def touch():
    """Synthesize an impression in a style: image uint8 [H, W] and skin in contact, bool [H, W]."""
    skin = synthesize_master(3, "foreground", 0)

    def synthesize(style):
        rng = np.random.default_rng(5)
        heights, level = compute_contact(skin, sample_touch(rng, style.placement), rng)
        return synthesize_image(style, heights, level, rng), level > CONTACT

    return synthesize


@pytest.fixture(scope="module")
def rolled(touch):
    return touch(replace(ROLL, placement=replace(ROLL.placement, size=CARD)))


# --- printed cards -----------------------------------------------------------------------------


def paper(image, contrast=0.75):
    """The impression in ink of some contrast on grainy paper."""
    grain = cv2.GaussianBlur(np.random.default_rng(0).normal(size=image.shape), (0, 0), 1.2)
    toned = 232 - contrast * (254 - image.astype(float)) + 5 * grain / grain.std()
    return np.clip(np.rint(toned), 0, 255).astype(np.uint8)


def lines(image, inset=14):
    """Add a printed box around the impression and two lines across it."""
    height, width = image.shape
    printed = cv2.rectangle(image.copy(), (inset, inset), (width - inset, height - inset), 60, 4)
    cv2.line(printed, (0, 250), (width, 252), 70, 4)
    return cv2.line(printed, (330, 0), (328, height), 70, 4)


def words(image, heading=True):
    """Add printed words in small type below, and a heading five ridges high."""
    printed = image.copy()
    font, smooth = cv2.FONT_HERSHEY_SIMPLEX, cv2.LINE_AA
    cv2.putText(printed, "SIGNATURE OF OFFICIAL", (20, CARD[0] - 25), font, 0.8, 60, 2, smooth)
    if heading:
        cv2.putText(printed, "1. R. THUMB", (30, 60), font, 1.8, 60, 5, smooth)
    return printed


CARDS = {
    "paper": paper,
    "lines": lambda image: lines(paper(image)),
    "words": lambda image: words(paper(image)),
    "words and lines": lambda image: words(lines(paper(image))),
    "faint, words": lambda image: words(paper(image, 0.2)),
    "faint, words and lines": lambda image: words(lines(paper(image, 0.2))),
    "hardly visible": lambda image: paper(image, 0.08),
}


@pytest.mark.parametrize("card", CARDS)
def test_rolled_impression_on_a_card(rolled, card):
    image, finger = rolled
    agreement, beside = overlap(foreground(CARDS[card](image)), finger)
    assert agreement > 0.86
    assert beside < 0.06


@pytest.mark.parametrize("card", ["paper", "words and lines"])
def test_part_of_an_impression_on_a_large_card(rolled, card):
    """A twentieth of the image: background and finger are measured separately."""
    image, finger = (part.copy() for part in rolled)
    image[:, 400:], finger[:, 400:] = 254, False
    image[375:], finger[375:] = 254, False
    assert finger.mean() < 0.08
    agreement, beside = overlap(foreground(CARDS[card](image)), finger)
    assert agreement > 0.8
    assert beside < 0.1


def test_box_that_touches_the_impression_is_not_filled(rolled):
    image, finger = rolled
    y, x = np.nonzero(finger)
    corners = (int(x.min()) - 8, int(y.min()) - 8), (int(x.max()) + 8, int(y.max()) + 8)
    agreement, beside = overlap(foreground(cv2.rectangle(paper(image), *corners, 60, 4)), finger)
    assert agreement > 0.86
    assert beside < 0.08


def test_rolled_impression_at_1000_ppi(rolled):
    """1600 × 1500 px in the file: the mask is that of the same card at 500 ppi."""
    image = words(lines(paper(rolled[0])))
    fine = resample(image, 2.0)
    assert fine.shape == (1500, 1600)
    prepared = preprocess.prepare(fine, 1000.0)
    agreement, _ = overlap(prepared.mask, foreground(image))
    assert agreement > 0.97


# --- sensors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("style", [OPTICAL, CAPACITIVE], ids=lambda style: style.name)
def test_plain_impression_of_a_sensor(touch, style):
    image, finger = touch(style)
    agreement, beside = overlap(foreground(image), finger)
    assert agreement > 0.9
    assert beside < 0.06


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
def test_stripes_of_a_sensor_are_not_foreground(axis):
    """A small impression in a much larger background whose rows or columns differ."""
    image, inside = ridges(360, 340, light=140, dark=90)
    small = inside & (np.hypot(*(np.indices(image.shape) - 175)) < 70)
    offsets = np.random.default_rng(3).normal(0, 6, image.shape[axis])
    striped = np.where(small, image, 140) + np.expand_dims(offsets, 1 - axis)
    noise = np.random.default_rng(4).normal(0, 2, image.shape)
    mask = foreground(np.clip(np.rint(striped + noise), 0, 255).astype(np.uint8))
    agreement, beside = overlap(mask, small)
    assert agreement > 0.8
    assert beside < 0.15


@pytest.mark.parametrize("light", [250, 95])
@pytest.mark.parametrize("touching", [False, True])
def test_finger_on_white_and_on_grey(light, touching):
    image, inside = ridges(
        360, 340, light=light, dark=light // 3, centre=(60, 170) if touching else None
    )
    assert overlap(foreground(image), inside)[0] > 0.9


def test_mask_does_not_depend_on_contrast_and_tone():
    """The threshold depends on the image's own ridges and background."""
    image, _ = ridges(360, 340)
    rng = np.random.default_rng(2)
    noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255)
    weak = np.rint(60 + noisy / 4).astype(np.uint8)
    agreement, _ = overlap(foreground(weak), foreground(np.rint(noisy).astype(np.uint8)))
    assert agreement > 0.95


def test_foreground_is_one_component_without_holes():
    image, _ = ridges(360, 340)
    image[150:170, 150:170] = 250  # a worn spot
    image[:20, :20] = np.random.default_rng(0).integers(0, 255, (20, 20))  # dust
    count, _ = cv2.connectedComponents(foreground(image).astype(np.uint8))
    holes, _ = cv2.connectedComponents((~foreground(image)).astype(np.uint8))
    assert (count, holes) == (2, 2)


# --- ridges that fade out ----------------------------------------------------------------------


def faded(contrast, below=240):
    """A finger whose ridges have a share of their contrast below a row, and where these are."""
    image, inside = ridges(360, 340)
    rows = np.arange(len(image))[:, None] >= below
    faint = np.where(rows, 250 - contrast * (250 - image.astype(float)), image)
    noise = np.random.default_rng(6).normal(0, 1, image.shape)
    return np.clip(np.rint(faint + noise), 0, 255).astype(np.uint8), inside, inside & rows


def test_faint_ridges_continue_the_foreground():
    image, finger, faint = faded(0.1)
    mask = foreground(image)
    wide = with_faint_ridges(image, mask)
    assert (mask & faint).sum() < 0.4 * faint.sum()
    assert (wide & faint).sum() > 0.9 * faint.sum()
    assert not (mask & ~wide).any()
    assert overlap(wide, finger)[1] < 0.12


def test_background_does_not_continue_the_foreground():
    image, finger, faint = faded(0.0)
    wide = with_faint_ridges(image, foreground(image))
    assert (wide & faint).sum() < 0.25 * faint.sum()
    assert overlap(wide, finger)[1] < 0.12


def test_faint_ridges_elsewhere_are_no_part_of_the_foreground():
    image, _ = ridges(360, 340)
    elsewhere = np.zeros(image.shape, bool)
    elsewhere[:8, :8] = True
    assert (with_faint_ridges(image, elsewhere) == elsewhere).all()


# --- no finger --------------------------------------------------------------------------------


def empty_card():
    return words(lines(paper(np.full(CARD, 254, np.uint8))), heading=False)


NO_FINGER = {
    "blank": lambda: np.full((300, 300), 250, np.uint8),
    "noise": lambda: np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8),
    "speck": lambda: np.pad(GOOD[90:110, 90:110], 140, constant_values=250),
    "card without a print": empty_card,
}


@pytest.mark.parametrize("image", NO_FINGER)
def test_missing_foreground_is_a_fault_that_names_the_file(image):
    with pytest.raises(Fault, match=r"speck\.tif: no foreground"):
        preprocess.prepare(NO_FINGER[image](), 500.0, "speck.tif")


@pytest.mark.skipif(not REAL.exists(), reason="FVC2002 is not available")
@pytest.mark.parametrize("database", ["DB1_B", "DB3_B"])
def test_foreground_of_real_images(database):
    """The finger covers a plausible part of every image."""
    paths = sorted((REAL / database).glob("*_[14].tif"))
    assert len(paths) == 20  # two impressions of ten fingers
    for path in paths:
        image = load(path).stored
        mask = foreground(image, str(path))
        assert 0.1 < mask.mean() < 0.98, path
        detail = np.abs(cv2.Laplacian(cv2.GaussianBlur(image, (0, 0), 1.5), cv2.CV_32F))
        assert detail[~mask].mean() < 0.5 * detail[mask].mean(), path
