"""Agreement, bending, evidence, score and refusal of constructed pairs."""

import dataclasses

import numpy as np
import pytest
from prints import finger, ridges

from model.registration import assessment
from model.registration.agreement import measure_agreement
from model.registration.assessment import Assessment, assess, describe_refusal
from model.registration.bending import measure_bending
from model.registration.calibration import DEFAULT_CURVES, Calibration, ScoreWeights
from model.registration.deformation import DEFAULT, Deformation
from model.registration.evidence import Evidence
from model.registration.ridge_image import ridge_image
from pipeline.imaging.warp import IDENTITY, rotation

SHAPE = (240, 220)
WEIGHTS = ScoreWeights(0.02, -4.0, 10.0, *[0.0] * 9)
UNWEIGHED = Calibration(DEFAULT_CURVES)


def deformation_of(displacement=lambda x, y: (0 * x, 0 * y), matrix=IDENTITY):
    """A deformation over SHAPE with a displacement (x, y) at its nodes."""
    positions = DEFAULT.grid.positions_over(SHAPE)
    nodes = np.stack(displacement(positions[..., 0], positions[..., 1]), -1)
    return Deformation(matrix, nodes, np.zeros(0, bool), DEFAULT.grid)


@pytest.fixture(scope="module")
def prints():
    """The ridges of two fingers."""
    mask = ridges(*SHAPE)[1]
    return [ridge_image(finger(seed, *SHAPE), mask) for seed in (1, 2)]


def grid_matches(move=(0.0, 0.0)):
    """Matches on a grid that state the identity moved by `move`, with confidence 0.9."""
    x, y = np.meshgrid(np.arange(40.0, 180, 12), np.arange(40.0, 200, 12))
    points = np.c_[x.ravel(), y.ravel()]
    return np.c_[points, points + move, np.full(len(points), 0.9)]


def judge(a, b, matches, deformation=None, calibration=None):
    calibration = calibration or Calibration(DEFAULT_CURVES, WEIGHTS)
    return assess(matches, deformation or deformation_of(), 0.8, (a, b), calibration)


def test_names_of_weights_are_those_of_the_evidence():
    names = [field.name for field in dataclasses.fields(ScoreWeights)]
    assert names == ["floor", "offset", *Evidence._fields]


def test_every_number_is_higher_for_one_finger(prints):
    """Of the same ridges and matches that state the truth, against another finger's."""
    one, other = prints
    bent = deformation_of(lambda x, y: (6 * np.sin(y / 15), 6 * np.sin(x / 15)))
    genuine = judge(one, one, grid_matches(), calibration=UNWEIGHED).evidence
    impostor = judge(one, other, grid_matches((25.0, 0.0)), bent, UNWEIGHED).evidence
    for name in Evidence._fields:
        if name not in ("correlation", "coverage"):  # given, and the same
            assert getattr(genuine, name) > getattr(impostor, name), name
    assert genuine.weakest > 0.95 and impostor.weakest < 0
    assert genuine.stiffness == pytest.approx(0, abs=1e-9)


def test_what_weighs_nothing_leaves_the_score_as_it_is(prints):
    """It is not measured, so it is 0 in the evidence; the rest is as without weights."""
    one, other = prints
    measured = judge(one, other, grid_matches(), calibration=UNWEIGHED).evidence
    judged = judge(one, other, grid_matches())
    left_out = {"unbent": 0.0, "direction": 0.0, "period": 0.0}
    assert all(getattr(measured, name) for name in left_out)
    assert judged.evidence == measured._replace(**left_out)
    assert judged.score == WEIGHTS.probability(measured)


@pytest.mark.parametrize("name", ["unbent", "direction", "period"])
def test_what_weighs_something_is_measured(prints, name):
    one, other = prints
    calibration = Calibration(DEFAULT_CURVES, dataclasses.replace(WEIGHTS, **{name: 1.0}))
    measured = judge(one, other, grid_matches(), calibration=UNWEIGHED).evidence
    judged = judge(one, other, grid_matches(), calibration=calibration)
    assert getattr(judged.evidence, name) == getattr(measured, name)
    assert judged.score == calibration.score.probability(measured)


def test_matches_are_counted_by_density(prints):
    """One match per 12 × 12 px is 69 per 10⁴ px²; each counts by its probability."""
    one = prints[0]
    matches, count = grid_matches(), len(grid_matches())
    agreement = measure_agreement(deformation_of(), matches, np.full(count, 0.5), one, one)
    assert agreement.support[60, 55] == pytest.approx(0.5 * 1e4 / 144, rel=0.1)
    assert agreement.opposition.max() < 1e-4
    wrong = measure_agreement(
        deformation_of(), grid_matches((9.5, 0)), np.full(count, 0.5), one, one
    )
    assert wrong.support.max() < 1e-4
    assert wrong.opposition[60, 55] == pytest.approx(0.5 * 1e4 / 144, rel=0.1)


def test_error_of_matches_is_their_distance_from_the_map(prints):
    one, count = prints[0], len(grid_matches())
    agreement = measure_agreement(
        deformation_of(), grid_matches((3.0, 4.0)), np.ones(count), one, one
    )
    assert agreement.match_error[60, 55] == pytest.approx(5, abs=0.05)


def test_rotation_and_stretch_are_no_bending():
    common = np.ones((SHAPE[0] // 2, SHAPE[1] // 2), bool)
    turned = measure_bending(deformation_of(matrix=rotation(0.5, (100, 90), (8, 3))), common)
    assert turned.distance < 1e-6 and turned.unevenness < 1e-6 and turned.curvature < 1e-6
    stretched = measure_bending(deformation_of(lambda x, y: (0.1 * x, 0 * y)), common)
    assert stretched.distance > 3 and stretched.unevenness < 1e-6
    points = np.array([[10.0, 20.0], [150.0, 60.0]])
    np.testing.assert_allclose(stretched.affine(points)[:, 0], 1.1 * points[:, 0], atol=1e-6)


def test_bending_is_measured():
    """Curvature of x²/2r: four points 8 px away lie 8²/r beyond four times the middle."""
    common = np.ones((SHAPE[0] // 2, SHAPE[1] // 2), bool)
    bent = measure_bending(deformation_of(lambda x, y: (0 * x, (x - 100) ** 2 / 2000)), common)
    assert bent.curvature == pytest.approx(8**2 / 1000, rel=0.05)
    assert bent.distance > 1


def test_without_common_area_the_score_is_the_floor(prints):
    one = prints[0]
    beside = deformation_of(matrix=np.array([[1.0, 0, 500], [0, 1, 0]]))
    for result in (
        judge(one, one, grid_matches(), beside),
        assess(grid_matches()[:0], None, 0.0, (one, one), Calibration(DEFAULT_CURVES, WEIGHTS)),
    ):
        assert result.score == WEIGHTS.floor and result.evidence is None
        assert describe_refusal(result).startswith("no common area found")


def test_checkpoints_without_weights_are_scored_by_the_ridges_alone(prints):
    one = prints[0]
    old = judge(one, one, grid_matches(), calibration=UNWEIGHED)
    assert old.score == DEFAULT_CURVES.probability(0.8) and old.sigma is None
    assert old.least_probability == assessment.DEFAULT.least_of_ridges


@pytest.fixture
def impostor(prints):
    """Two fingers, registered as badly as possible."""
    bent = deformation_of(lambda x, y: (20 * np.sin(y / 30), 0 * y))
    return judge(*prints, grid_matches((25.0, 0.0)), bent)


def refuse(impostor, **evidence):
    changed = dataclasses.replace(
        impostor, score=0.01, evidence=impostor.evidence._replace(**evidence)
    )
    return describe_refusal(changed)


def test_a_refusal_says_why(impostor):
    said = refuse(impostor, correlation=0.21)
    assert "no better than those of different fingers (correlation 0.21)" in said
    assert f"would have to bend by {impostor.bending.distance:.0f} px" in said
    share = impostor.evidence.support / (impostor.evidence.support - impostor.evidence.opposition)
    assert 0 < share < 0.3 and f"only {100 * share:.0f} % of the matches fit the map" in said
    said = refuse(impostor, correlation=0.9, support=3.0, opposition=-1.0)
    assert "no better" not in said and "matches" not in said


def test_no_refusal_from_the_least_probability_on(impostor):
    least = impostor.least_probability
    assert least == assessment.DEFAULT.least_probability
    assert describe_refusal(dataclasses.replace(impostor, score=least)) == ""
    straight = dataclasses.replace(impostor.bending, distance=0.0)
    evidence = impostor.evidence._replace(correlation=0.9, support=3.0, opposition=0.0)
    rest = Assessment(0.0, least, impostor.agreement, straight, evidence)
    assert describe_refusal(rest) == "taken together, the evidence favours two different fingers"
