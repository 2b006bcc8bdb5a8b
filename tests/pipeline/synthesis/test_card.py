"""Print on cards: positions of lines and words, and their ranges."""

import numpy as np
import pytest

from pipeline.synthesis.sensors.card import FONTS, WORDS, Line, Word, sample_card

BOTH = {False, True}


def test_print_is_near_the_edges_of_cards_and_sometimes_in_the_middle():
    masks = np.array(
        [sample_card(np.random.default_rng(k)).print_mask((880, 800)) for k in range(200)]
    )
    printed = masks.any((1, 2)).mean()
    inside = masks[:, 140:-140, 140:-140].any((1, 2)).mean()
    assert 0.75 < printed < 0.98
    assert 0.01 < inside < 0.15
    assert masks.mean() < 0.03


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_lines_run_along_their_edge(upright, turned):
    """From edge to edge, at the recorded distances from the edge at both ends."""
    mask = np.zeros((300, 200), np.uint8)
    Line(upright, turned, inside=20, tilt=4, weight=1).print_on(mask)
    across = mask if upright else mask.T
    assert (across.sum(1) == 1).all()
    first, last = np.flatnonzero(across[0])[0], np.flatnonzero(across[-1])[0]
    start, end = (last, first) if turned else (first, last)
    if turned:
        start, end = across.shape[1] - 1 - start, across.shape[1] - 1 - end
    assert start == 20 and abs(end - 24) <= 1


@pytest.mark.parametrize("upper", [False, True])
def test_words_are_at_their_recorded_positions(upper):
    """At the recorded distance from the edge; at the ends 30 % of a word is outside."""
    shares = []
    for along in (0.0, 0.5, 1.0):
        mask = np.zeros((300, 400), np.uint8)
        Word("PLAIN", FONTS[0], 1.0, 1, upper, 10.0, along).print_on(mask)
        rows = np.flatnonzero(mask.any(1))
        assert 9 <= (rows[0] if upper else 299 - rows[-1]) <= 18  # lower letters may hang
        shares.append(mask.sum())
    assert 0.5 < shares[0] / shares[1] < 0.9 and 0.5 < shares[2] / shares[1] < 0.9


def test_cards_stay_in_their_ranges():
    cards = [sample_card(np.random.default_rng(k)) for k in range(400)]
    lines = [line for card in cards for line in card.lines]
    words = [word for card in cards for word in card.words]
    for count in (len(lines), len(words)):
        assert abs(count / len(cards) - 1) < 0.15  # 0, 1 or 2 of either
    assert {(line.upright, line.turned) for line in lines} == {(a, b) for a in BOTH for b in BOTH}
    assert {line.inside for line in lines} == set(range(8, 60))
    assert {line.tilt for line in lines} == set(range(-8, 9))
    assert {line.weight for line in lines} == set(range(2, 7))
    assert {word.text for word in words} == set(WORDS)
    assert {word.font for word in words} == set(FONTS)
    assert {word.weight for word in words} == {2, 3, 4} and {word.upper for word in words} == BOTH
    assert all(0.8 <= word.scale <= 2.2 and 0 <= word.along <= 1 for word in words)
    assert min(word.inside for word in words) >= 6
    assert 0.01 < np.mean([word.inside > 126 for word in words]) < 0.1
