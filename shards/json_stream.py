"""Read JSON in pieces, with one value at a time in memory."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

WHITE_SPACE = re.compile(r"[ \t\n\r]*")
VALUE_ENDS = ",:]} \t\n\r"  # characters that may follow a value


class Stream:
    """The next values of a JSON text; each method takes the text that it returns.

    Every method raises ValueError where the text is not JSON, and RecursionError where it is
    nested too deeply. Infinite numbers, NaN and repeated keys of one object are not allowed.
    """

    def __init__(self, read: Callable[[], bytes]) -> None:
        """Start at the beginning of a text.

        Args:
            read: returns the next bytes of the text in UTF-8, b"" at its end.
        """
        self._read, self._text, self._position = read, "", 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def peek(self) -> str:
        """Return the next character that is not white space without taking it; "" at the end."""
        while True:
            space = WHITE_SPACE.match(self._text, self._position)
            assert space is not None  # the pattern matches an empty text too
            self._position = space.end()
            if self._position < len(self._text) or not self._read_piece():
                return self._text[self._position : self._position + 1]

    def take(self, allowed: str) -> str:
        """Take the next character, which must be one of `allowed`."""
        character = self.peek()
        if not character or character not in allowed:
            raise ValueError(f"{character!r} where one of {allowed} was expected")
        self._position += 1
        return character

    def value(self) -> Any:
        """Take the next value, with all that it contains."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._position)
            except ValueError:
                if not self._read_piece():
                    raise
                continue
            after = self._text[end : end + 1]
            complete = after and after in VALUE_ENDS  # else a number may continue
            if complete or not self._read_piece():
                self._position = end
                return value

    def members(self) -> Iterator[str]:
        """Iterate over the keys of the next object; the caller takes the value of each."""
        keys = set()
        for _ in self._parts("{}"):
            key = self.value()
            if not isinstance(key, str) or key in keys:
                raise ValueError(f"the key {str(key)[:80]!r} is not a text or is repeated")
            keys.add(key)
            self.take(":")
            yield key

    def items(self) -> Iterator[int]:
        """Iterate over the indices of the next array; the caller takes the value of each."""
        return self._parts("[]")

    def end(self) -> None:
        """Check that the text ends here."""
        if character := self.peek():
            raise ValueError(f"{character!r} after the end")

    def _parts(self, brackets: str) -> Iterator[int]:
        self.take(brackets[0])
        number = 0
        if self.peek() == brackets[1]:
            self._position += 1
            return
        while True:
            yield number
            number += 1
            if self.take("," + brackets[1]) == brackets[1]:
                return

    def _read_piece(self) -> bool:
        """Read one more piece and drop the text that was taken; False at the end."""
        piece = self._read()
        self._text = self._text[self._position :] + self._decoder.decode(piece, not piece)
        self._position = 0
        return bool(piece)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        repeated = next(key for key, number in counts.items() if number > 1)
        raise ValueError(f"the key {repeated[:80]!r} is repeated in one object")
    return members


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:80]} is not a finite number")
    return value


DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_float=_finite, parse_constant=_finite
)
