"""Masters: pattern classes, ridge flow, ridges along it, minutiae and details of the skin."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skeleton import minutiae

from pipeline.synthesis import growth
from pipeline.synthesis.frame import MASTER_MIDDLE, MASTER_SIZE
from pipeline.synthesis.generate import synthesize_master
from pipeline.synthesis.growth import insert_minutia_pairs
from pipeline.synthesis.orientation import sample_flow
from pipeline.synthesis.period import PeriodParameters
from pipeline.synthesis.singularities import CLASSES, SingularityParameters, sample_class
from pipeline.synthesis.skin import incipient_height, scar_depth

MIDDLE = np.array(MASTER_MIDDLE)
SINGULARITIES = {  # class → numbers of cores and deltas
    "arch": (0, 0),
    "tented-arch": (1, 1),
    "left-loop": (1, 1),
    "right-loop": (1, 1),
    "whorl": (2, 2),
}


@pytest.fixture(scope="module")
def masters():
    return [synthesize_master(3, "synthetic/test", k) for k in range(5)]


def finger_region():
    """Mask [H, W] of the skin in a plain impression."""
    region = np.zeros(MASTER_SIZE, np.uint8)
    centre = (int(MIDDLE[0]), int(MIDDLE[1]))
    return cv2.ellipse(region, centre, (120, 165), 0, 0, 360, 1, -1).astype(bool)


def total_turn(angle, centre, radius):
    """Total turn (rad) of the ridge direction once counter-clockwise around centre (x, y)."""
    circle = np.linspace(0, 2 * np.pi, 181)
    x = np.rint(centre[0] + radius * np.cos(circle)).astype(int)
    y = np.rint(centre[1] - radius * np.sin(circle)).astype(int)
    steps = np.diff(angle[y, x])
    return np.sum((steps + np.pi / 2) % np.pi - np.pi / 2)


def test_classes_have_natural_proportions():
    rng, shares = np.random.default_rng(0), SingularityParameters().class_shares
    labels = [sample_class(rng) for _ in range(20_000)]
    for label, share in zip(CLASSES, np.array(shares) / sum(shares), strict=True):
        deviation = np.sqrt(share * (1 - share) / len(labels))
        assert abs(labels.count(label) / len(labels) - share) < 4 * deviation


def test_flow_turns_by_half_a_turn_around_cores_and_back_around_deltas():
    """The corrections bend the ridges, but no class loses or gains a singularity by them."""
    labels = set()
    for seed in range(40):
        flow = sample_flow(np.random.default_rng(seed))
        labels.add(flow.label)
        assert (len(flow.cores), len(flow.deltas)) == SINGULARITIES[flow.label]
        distances = [abs(a - b) for a in flow.cores for b in flow.cores if a != b]
        for points, turn in ((flow.cores, np.pi), (flow.deltas, -np.pi)):
            for point in points:
                centre = MIDDLE + np.array([point.real, -point.imag])
                radius = min([9.0, *(0.4 * d for d in distances)])
                assert total_turn(flow.angle, centre, radius) == pytest.approx(turn, abs=0.1)
        assert total_turn(flow.angle, MIDDLE, 200) == pytest.approx(0, abs=0.1)
    assert labels >= {"left-loop", "right-loop", "whorl"}


def test_loops_open_to_their_side():
    """A left loop has its delta on the right; below its core the ridges run down to the left."""
    slopes = []
    for seed in range(60):
        flow = sample_flow(np.random.default_rng(seed))
        if not flow.label.endswith("-loop"):
            continue
        side = 1 if flow.label == "left-loop" else -1
        assert side * (flow.deltas[0] - flow.cores[0]).real > 0
        below = flow.cores[0] - 50j - 15 * side
        x, y = np.rint(MIDDLE + np.array([below.real, -below.imag])).astype(int)
        slopes.append(np.sin(2 * flow.angle[y, x]) * side)  # "/" where positive
    assert np.median(slopes) > 0.3 and np.mean(np.array(slopes) > -0.2) > 0.8


def test_period_varies_within_its_range(masters):
    least, most = PeriodParameters().period_range
    for master in masters:
        period = master.flow.period
        assert period.min() >= least and period.max() <= most
        assert np.percentile(period, 95) - np.percentile(period, 5) > 0.5


def test_ridges_follow_the_flow(masters):
    """Structure tensor of the grown ridges against the orientation of the flow."""
    for master in masters:
        gradient_y, gradient_x = np.gradient(master.ridges)
        products = (gradient_x**2, gradient_y**2, gradient_x * gradient_y)
        xx, yy, xy = [cv2.GaussianBlur(product, (0, 0), 6) for product in products]
        across = np.arctan2(2 * xy, xx - yy) / 2  # y down
        error = (-across + np.pi / 2 - master.flow.angle + np.pi / 2) % np.pi - np.pi / 2
        assert np.degrees(np.median(np.abs(error))) < 3


def test_ridges_have_the_period_of_the_flow(masters):
    """The strongest wavelength of 64-px blocks against the mean period there."""
    window = np.outer(np.hanning(64), np.hanning(64))
    frequencies = np.fft.fftfreq(256)
    radius = np.hypot(frequencies[:, None], frequencies[None])
    for master in masters:
        ratios = []
        for y in range(80, 420, 64):
            for x in range(80, 300, 64):
                block = master.ridges[y : y + 64, x : x + 64] * window
                power = np.abs(np.fft.fft2(block, (256, 256))) ** 2
                period = 1 / radius.flat[np.argmax(power * (radius > 0.05))]
                ratios.append(period / master.flow.period[y : y + 64, x : x + 64].mean())
        assert abs(np.median(ratios) - 1) < 0.05


def test_number_of_minutiae_is_natural(masters):
    """About 30 to 60 in a plain impression, of both types."""
    region = finger_region()
    for master in masters:
        endings, bifurcations = minutiae(master.ridges > 0, region)
        assert 25 <= endings + bifurcations <= 75
        assert min(endings, bifurcations) >= 7


def test_more_endings_than_bifurcations(masters):
    """Two thirds of the minutiae of the skin; in impressions fewer, since wet ones join some."""
    counts = np.sum([minutiae(master.ridges > 0, finger_region()) for master in masters], 0)
    assert 0.58 < counts[0] / counts.sum() < 0.76


def test_pairs_of_minutiae_change_one_place_of_a_plain_wave():
    """A short ridge (two endings) or a lake (two bifurcations), and no third minutia."""
    parameters = replace(growth.DEFAULT, pairs=1)
    wave = 2 * np.pi * np.mgrid[:320, :320][0].astype(np.float32) / 9
    pairs = []
    for seed in range(30):
        number = np.random.default_rng(seed).poisson(1)
        rng = np.random.default_rng(seed)
        result = insert_minutia_pairs(np.cos(wave), np.sin(wave), 0 * wave, rng, parameters)
        changed = np.argwhere(np.abs(result - np.cos(wave)) > 1.5)
        assert (number > 0) == (len(changed) > 0)
        if number == 1 and changed.min() > 40 and changed.max() < 280:
            assert np.ptp(changed, 0).max() < 40
            pairs.append(tuple(minutiae(result > 0, np.pad(np.ones((280, 280), bool), 20))))
    assert set(pairs) == {(0, 2), (2, 0)}


def test_some_fingers_have_incipient_ridges_in_valleys(masters):
    ridges = masters[0].ridges[:160, :160]
    heights = [incipient_height(ridges, np.random.default_rng(k)) for k in range(200)]
    present = [height for height in heights if height.max() > 0]
    assert 0.25 < len(present) / len(heights) < 0.45
    for height in present:
        assert height.min() >= 0 and height[ridges > -0.3].max() < 0.1


def test_few_fingers_have_scars_and_scars_are_wide():
    depths = [scar_depth((320, 240), np.random.default_rng(k)) for k in range(300)]
    present = [depth for depth in depths if depth.max() > 0.5]
    assert 0.05 < len(present) / len(depths) < 0.15
    widths = [
        2 * cv2.distanceTransform((depth > 0.5).astype(np.uint8), cv2.DIST_L2, 5).max()
        for depth in present
    ]
    assert np.median(widths) > 4


def test_same_address_gives_same_finger(masters):
    again = synthesize_master(3, "synthetic/test", 2)
    assert np.array_equal(again.ridges, masters[2].ridges)
    assert np.array_equal(again.relief, masters[2].relief)


def test_other_addresses_give_other_fingers(masters):
    """Other numbers, seeds and partitions have nothing in common at any shift."""
    others = [
        *masters[1:],
        synthesize_master(4, "synthetic/test", 0),
        synthesize_master(3, "synthetic/b", 0),
    ]
    first = masters[0].ridges[160:400, 110:310]
    itself = cv2.matchTemplate(masters[0].ridges, first, cv2.TM_CCOEFF_NORMED)
    assert itself.max() > 0.99
    for other in others:
        assert cv2.matchTemplate(other.ridges, first, cv2.TM_CCOEFF_NORMED).max() < 0.5
