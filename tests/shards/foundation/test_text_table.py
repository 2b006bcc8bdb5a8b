"""Columns of text tables are aligned."""

import pytest

from shards.foundation.text_table import format_table


def test_the_first_column_is_aligned_to_the_left_and_others_to_the_right():
    table = format_table([["name", "pairs"], ["fvc2002", "12,000"], ["sd302", "7"]])
    assert table == "name      pairs\nfvc2002  12,000\nsd302         7"


def test_columns_to_the_left_can_be_chosen_and_lines_end_without_spaces():
    table = format_table([["a", "b"], ["long", ""], ["c", "wide"]], left=(1,))
    assert table == "   a  b\nlong\n   c  wide"


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        format_table([["a", "b"], ["c"]])
