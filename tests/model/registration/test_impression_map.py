"""Where a dense map has a correspondence: both foregrounds, their faint ridges and a margin."""

from dataclasses import replace

import numpy as np
from prints import ridges

from model.registration.deformation import Deformation, NodeGrid
from model.registration.impression import MapParameters, PreparedImpression, map_in_file_pixels
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.preprocess import SegmentedImage
from pipeline.imaging.resolution import by_option
from pipeline.imaging.warp import IDENTITY

SHAPE = (80, 90)
SHIFT = 20.0


def impression(rows, columns):
    """An impression with its foreground in some rows and columns."""
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    image = SegmentedImage(np.full(SHAPE, 200, np.uint8), mask, IDENTITY, (45.0, 40.0))
    return PreparedImpression(SHAPE, image, by_option(500), Polarity.DARK)


def shift_right():
    """B shows at x + SHIFT what A shows at x."""
    grid = NodeGrid()
    nodes = np.zeros((*grid.positions_over(SHAPE).shape[:2], 2))
    return Deformation(np.array([[1.0, 0, SHIFT], [0, 1, 0]]), nodes, np.zeros(0, bool), grid)


def test_it_extends_a_margin_beyond_both_foregrounds():
    a, b = impression(np.s_[30:50], np.s_[20:40]), impression(np.s_[:], np.s_[30:50])
    for margin in (0, 5, 8):
        parameters = MapParameters(margin=margin, rows_per_block=7)
        map_ab = map_in_file_pixels(shift_right(), a, b, parameters)
        row, column = np.isfinite(map_ab[40, :, 0]), np.isfinite(map_ab[:, 22, 0])
        assert np.flatnonzero(row).tolist() == list(range(20 - margin, 30 + margin))
        assert np.flatnonzero(column).tolist() == list(range(30 - margin, 50 + margin))
        y, x = np.nonzero(np.isfinite(map_ab[..., 0]))
        np.testing.assert_allclose(map_ab[y, x], np.c_[x + SHIFT, y], atol=1e-4)


def test_it_extends_over_faint_ridges_that_continue_the_foreground():
    a = b = impression(np.s_[:30], np.s_[:])
    faint = ridges(*SHAPE, light=200, dark=170, ellipse=(60, 60))[0]
    b = replace(b, prepared=replace(b.prepared, image=faint))
    identity = Deformation(IDENTITY, shift_right().nodes, np.zeros(0, bool), NodeGrid())
    for first, second in ((a, b), (b, a)):
        map_ab = map_in_file_pixels(identity, first, second)
        assert np.isfinite(map_ab[:38, 40, 0]).all() and np.isnan(map_ab[38:, 40, 0]).all()
    assert np.isfinite(map_in_file_pixels(identity, b, b)[:, 30:60, 0]).all()
