"""Plots of pairs show the correspondences where the map has them."""

from dataclasses import replace

import numpy as np
from pairs import make_pairs

from shards import plot


def test_points_are_plotted_at_the_positions_of_the_map():
    pair = make_pairs(1, 3)[0]
    picture = plot.plot_pair(pair, "train", "here")
    side = 2 * 128 + plot.DEFAULT.gap
    panel_a = picture[plot.DEFAULT.head :, plot.DEFAULT.gap // 2 :]
    panel_b = panel_a[:, side:]
    row, column = 20, 12  # point number 10
    x, y = 4 * column + 1.5, 4 * row + 1.5
    colour = panel_a[round((y + 0.5) * 2 - 0.5), round((x + 0.5) * 2 - 0.5)]
    x, y = pair.map_ab[row, column]
    assert np.array_equal(colour, panel_b[round((y + 0.5) * 2 - 0.5), round((x + 0.5) * 2 - 0.5)])
    assert np.ptp(colour.astype(int)) > 100  # not a grey level of the image


def test_ridges_continue_on_the_chequerboard_of_a_correct_map():
    """A and B resampled onto it are correlated, and less where the map is wrong."""
    pair = make_pairs(2, 3)[1]
    plain = plot.plot_chequerboard(replace(pair, image_b=pair.image_a, map_ab=identity_map(pair)))
    right = plot.plot_chequerboard(pair)
    wrong = plot.plot_chequerboard(replace(pair, map_ab=pair.map_ab + np.float32(2)))
    visible = (plain != 235) & (right != 235) & (wrong != 235)
    agree = [np.corrcoef(plain[visible], other[visible])[0, 1] for other in (right, wrong)]
    assert agree[0] > 0.9 > agree[1]


def identity_map(pair):
    i = np.arange(32, dtype=np.float32) * 4 + 1.5
    return np.stack(np.meshgrid(i, i), -1)
