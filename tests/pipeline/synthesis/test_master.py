"""Masters: classes, flow, and ridges that follow it."""

import cv2
import numpy as np
import pytest
from skeleton import minutiae

from pipeline.synthesis import orientation
from pipeline.synthesis.generate import synthesize_master
from pipeline.synthesis.master import incipient, scars, with_pairs
from pipeline.synthesis.orientation import CLASSES, PERIOD_RANGE, PROPORTIONS, SIZE, sample_flow

MIDDLE = (np.array(SIZE[::-1]) - 1) / 2
SINGULARITIES = {
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
    region = np.zeros(SIZE, np.uint8)
    centre = (int(MIDDLE[0]), int(MIDDLE[1]))
    return cv2.ellipse(region, centre, (120, 165), 0, 0, 360, 1, -1).astype(bool)


def turning(angle, centre, radius):
    """Total turn (rad) of the ridge direction once counter-clockwise round (x, y)."""
    round_ = np.linspace(0, 2 * np.pi, 181)
    x = np.rint(centre[0] + radius * np.cos(round_)).astype(int)
    y = np.rint(centre[1] - radius * np.sin(round_)).astype(int)
    steps = np.diff(angle[y, x])
    return np.sum((steps + np.pi / 2) % np.pi - np.pi / 2)


def test_classes_come_in_natural_proportions():
    rng = np.random.default_rng(0)
    drawn = [orientation.sample_class(rng) for _ in range(20_000)]
    for label, share in zip(CLASSES, np.array(PROPORTIONS) / sum(PROPORTIONS), strict=True):
        spread = np.sqrt(share * (1 - share) / len(drawn))
        assert abs(drawn.count(label) / len(drawn) - share) < 4 * spread


def test_flow_turns_by_half_round_cores_and_back_round_deltas():
    """The correction bends the ridges, but no class loses or gains a singularity by it."""
    seen = set()
    for seed in range(40):
        flow = sample_flow(np.random.default_rng(seed))
        seen.add(flow.label)
        assert (len(flow.cores), len(flow.deltas)) == SINGULARITIES[flow.label]
        near = [abs(a - b) for a in flow.cores for b in flow.cores if a != b]
        for points, turn in ((flow.cores, np.pi), (flow.deltas, -np.pi)):
            for point in points:
                at = MIDDLE + np.array([point.real, -point.imag])
                radius = min([9.0, *(0.4 * d for d in near)])
                assert turning(flow.angle, at, radius) == pytest.approx(turn, abs=0.1)
        assert turning(flow.angle, MIDDLE, 200) == pytest.approx(0, abs=0.1)
    assert seen >= {"left-loop", "right-loop", "whorl"}


def test_loops_open_to_their_side():
    """A left loop has its delta on the right, and from its core the ridges run down to the left."""
    leaning = []
    for seed in range(60):
        flow = sample_flow(np.random.default_rng(seed))
        if not flow.label.endswith("-loop"):
            continue
        side = 1 if flow.label == "left-loop" else -1
        assert side * (flow.deltas[0] - flow.cores[0]).real > 0
        below = flow.cores[0] - 50j - 15 * side
        x, y = np.rint(MIDDLE + np.array([below.real, -below.imag])).astype(int)
        leaning.append(np.sin(2 * flow.angle[y, x]) * side)  # "/" where positive
    assert np.median(leaning) > 0.3 and np.mean(np.array(leaning) > -0.2) > 0.8


def test_period_varies_within_its_range(masters):
    for master in masters:
        period = master.flow.period
        assert period.min() >= PERIOD_RANGE[0] and period.max() <= PERIOD_RANGE[1]
        assert np.percentile(period, 95) - np.percentile(period, 5) > 0.5


def test_ridges_follow_the_flow(masters):
    """Structure tensor of the grown ridges against the orientation they were grown along."""
    for master in masters:
        gx, gy = (np.gradient(master.ridges, axis=axis) for axis in (1, 0))
        xx, yy, xy = (cv2.GaussianBlur(a, (0, 0), 6) for a in (gx * gx, gy * gy, gx * gy))
        across = np.arctan2(2 * xy, xx - yy) / 2  # y down
        error = (-across + np.pi / 2 - master.flow.angle + np.pi / 2) % np.pi - np.pi / 2
        assert np.degrees(np.median(np.abs(error))) < 3


def test_ridges_have_the_period_of_the_flow(masters):
    """The strongest wavelength of 64-px blocks against the mean period there."""
    window = np.outer(np.hanning(64), np.hanning(64))
    f = np.fft.fftfreq(256)
    radius = np.hypot(f[:, None], f[None])
    for master in masters:
        ratios = []
        for y in range(80, 420, 64):
            for x in range(80, 300, 64):
                block = master.ridges[y : y + 64, x : x + 64] * window
                power = np.abs(np.fft.fft2(block, (256, 256))) ** 2
                found = 1 / radius.flat[np.argmax(power * (radius > 0.05))]
                ratios.append(found / master.flow.period[y : y + 64, x : x + 64].mean())
        assert abs(np.median(ratios) - 1) < 0.05


def test_minutiae_appear_in_natural_number(masters):
    """About 30 to 60 in what a plain touch shows, of both types."""
    region = finger_region()
    for master in masters:
        endings, bifurcations = minutiae(master.ridges > 0, region)
        assert 25 <= endings + bifurcations <= 75
        assert min(endings, bifurcations) >= 7


def test_more_ridges_end_than_fork(masters):
    """Two thirds of the minutiae in the skin; wet touches join some, so that prints have fewer."""
    found = np.sum([minutiae(master.ridges > 0, finger_region()) for master in masters], 0)
    assert 0.58 < found[0] / found.sum() < 0.76


def test_pairs_of_minutiae_change_one_place_of_a_plain_wave(monkeypatch):
    """A short ridge (two endings) or a lake (two forks), and no third minutia where it ends."""
    monkeypatch.setattr("pipeline.synthesis.master.PAIRS", 1)
    wave = 2 * np.pi * np.mgrid[:320, :320][0].astype(np.float32) / 9
    found = []
    for seed in range(30):
        number = np.random.default_rng(seed).poisson(1)
        made = with_pairs(np.cos(wave), np.sin(wave), 0 * wave, np.random.default_rng(seed))
        changed = np.argwhere(np.abs(made - np.cos(wave)) > 1.5)
        assert (number > 0) == (len(changed) > 0)
        if number == 1 and changed.min() > 40 and changed.max() < 280:
            assert np.ptp(changed, 0).max() < 40
            found.append(tuple(minutiae(made > 0, np.pad(np.ones((280, 280), bool), 20))))
    assert set(found) == {(0, 2), (2, 0)}


def test_incipient_ridges_lie_in_valleys_of_some_fingers(masters):
    ridges = masters[0].ridges
    drawn = [incipient(ridges[:160, :160], np.random.default_rng(k)) for k in range(200)]
    there = [one for one in drawn if one.max() > 0]
    assert 0.25 < len(there) / len(drawn) < 0.45
    for one in there:
        assert one.min() >= 0 and one[ridges[:160, :160] > -0.3].max() < 0.1


def test_few_fingers_have_scars_and_scars_are_wide():
    drawn = [scars((320, 240), np.random.default_rng(k)) for k in range(300)]
    there = [one for one in drawn if one.max() > 0.5]
    assert 0.05 < len(there) / len(drawn) < 0.15
    widths = [
        2 * cv2.distanceTransform((one > 0.5).astype(np.uint8), cv2.DIST_L2, 5).max()
        for one in there
    ]
    assert np.median(widths) > 4


def test_same_address_same_finger(masters):
    again = synthesize_master(3, "synthetic/test", 2)
    assert np.array_equal(again.ridges, masters[2].ridges)
    assert np.array_equal(again.relief, masters[2].relief)


def test_other_address_other_finger(masters):
    """Neighbours in number, seed and partition share nothing, wherever one is laid on the other."""
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
