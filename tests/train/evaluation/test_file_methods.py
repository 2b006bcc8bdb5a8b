"""Methods that register two image files of any resolution."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from prints import finger

from model.registration.impression import prepare_impression
from train.evaluation import file_methods
from train.evaluation.file_methods import SIFT, FileMethods, FileResult
from train.evaluation.reference_minutiae import distances, no_correspondence


@pytest.mark.parametrize("ppi", [500, 750])
def test_maps_and_minutiae_are_in_px_at_500_ppi(tmp_path, monkeypatch, ppi):
    """B is A moved by 30 px at 500 ppi; its minutiae lie 6 px beside, within the tolerance."""
    scale, image = ppi / 500, finger(3, 300, 280)
    moved = np.roll(image, 30, 1)
    minutiae = {}
    points = np.random.default_rng(0).uniform(100, 180, (12, 2))
    for name, pixels, offset in (("1_1.png", image, 0), ("1_2.png", moved, 36)):
        size = (round(280 * scale), round(300 * scale))
        cv2.imwrite(str(tmp_path / name), cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
        in_file = (points + (offset, 0) + 0.5) * scale - 0.5
        minutiae[name] = np.c_[in_file, np.linspace(0, 6, 12), np.ones(12)]
    monkeypatch.setattr(
        file_methods, "register_by_network", lambda *_: FileResult(0, no_correspondence)
    )
    registrar = SimpleNamespace(prepare_image=prepare_impression)
    methods = FileMethods(registrar, ppi, minutiae)
    a, b = tmp_path / "1_1.png", tmp_path / "1_2.png"
    point_map = methods.compare(a, b)[SIFT].point_map
    np.testing.assert_allclose(point_map(points), points + np.array([30, 0]), atol=0.6)
    confirmed = distances(methods.minutiae(a), methods.minutiae(b), point_map)
    assert len(confirmed) == 12
    np.testing.assert_allclose(confirmed, 6, atol=0.6)
