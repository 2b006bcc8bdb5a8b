"""Measure TIFF's LZW data (TIFF 6.0, section 13) without unfolding it.

libtiff accepts damaged codes and data that unfolds to more than is needed. The length to which
data unfolds follows from its codes alone.
"""

from __future__ import annotations

import numpy as np

CLEAR, END, FIRST_ENTRY = 256, 257, 258  # codes; entries of the table follow
CODES_MAX = 4096 - FIRST_ENTRY + 1  # from one clear code to the next

# Code number after a clear code → its bits. The second and later codes each add an entry, and the
# width grows one code before the table needs it.
_ENTRIES = FIRST_ENTRY + np.maximum(np.arange(CODES_MAX) - 1, 0)
WIDTHS = 9 + np.searchsorted((511, 1023, 2047), _ENTRIES, side="right")
STARTS = np.cumsum(WIDTHS) - WIDTHS


def unfolded_length(content: bytes) -> int:
    """Return the bytes to which LZW data unfolds; -1 where it is damaged or has no end code."""
    data = np.frombuffer(content + bytes(4), np.uint8).astype(np.uint32)
    words = data[:-3] << 24 | data[1:-2] << 16 | data[2:-1] << 8 | data[3:]
    total, bit, is_last = 0, 0, False
    while not is_last:
        starts = bit + STARTS
        inside = starts + WIDTHS <= 8 * len(content)
        starts, widths = starts[inside], WIDTHS[inside]
        codes = words[starts >> 3] << (starts & 7).astype(np.uint32) >> (32 - widths)
        ends = np.flatnonzero((codes == CLEAR) | (codes == END))
        length = _length(codes[: ends[0]].tolist()) if ends.size else -1
        if length < 0:
            return -1
        total += length
        is_last = bool(codes[ends[0]] == END)
        bit = int(starts[ends[0]] + widths[ends[0]])
    return total


def _length(codes: list[int]) -> int:
    """Return the length to which codes between two clear codes unfold; -1 for invalid codes."""
    if not codes:
        return 0
    lengths = [1] * FIRST_ENTRY  # of each entry of the table
    previous = total = 1
    if codes[0] >= CLEAR:
        return -1
    for code in codes[1:]:
        lengths.append(previous + 1)
        if code >= len(lengths):
            return -1
        previous = lengths[code]
        total += previous
    return total
