"""Tables of plain text for the terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def format_table(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Align cells in columns that are two spaces apart.

    Args:
        rows: the lines of the table, a heading among them; all have the same number of cells.
        left: columns that are aligned to the left; the others are aligned to the right.

    Returns:
        One line per row without spaces at its end, such as

            name      pairs
            fvc2002  12,000
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    return "\n".join("  ".join(cells).rstrip() for cells in lines)
