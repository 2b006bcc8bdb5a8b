"""JSON read a piece at a time, so that of a long file no more than one value is ever in memory."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

_AFTER = ",:]} \t\n\r"  # what may follow a value
_SPACE = re.compile(r"[ \t\n\r]*")


class Stream:
    """A JSON text behind `read`, which gives its next bytes and b"" after the last.

    Each method takes what comes next; ValueError where that is no JSON, RecursionError where it is
    nested too deep. No number is infinite or NaN, no key stands twice in one object.
    """

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read, self._text, self._at = read, "", 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def peek(self) -> str:
        """The next character that is no white space, which stays; "" at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, among: str) -> str:
        """The next character, one of `among`."""
        found = self.peek()
        if not found or found not in among:
            raise ValueError(f"{found!r} where one of {among} was expected")
        self._at += 1
        return found

    def value(self) -> Any:
        """The next value as a whole."""
        self.peek()
        while True:
            try:
                found, end = _WHOLE.raw_decode(self._text, self._at)
            except ValueError:
                if not self._more():
                    raise
                continue
            after = self._text[end : end + 1]
            if (after and after in _AFTER) or not self._more():  # else a number might go on
                self._at = end
                return found

    def members(self) -> Iterator[str]:
        """The keys of the object that comes next; the caller takes each one's value."""
        seen = set()
        for _ in self._parts("{}"):
            key = self.value()
            if not isinstance(key, str) or key in seen:
                raise ValueError(f"the key {str(key)[:80]!r} is none, or stands twice")
            seen.add(key)
            self.take(":")
            yield key

    def items(self) -> Iterator[int]:
        """The numbers of the items of the array that comes next; the caller takes each item."""
        return self._parts("[]")

    def end(self) -> None:
        """Nothing comes next."""
        if found := self.peek():
            raise ValueError(f"{found!r} after the end")

    def _parts(self, brackets: str) -> Iterator[int]:
        self.take(brackets[0])
        number = 0
        if self.peek() == brackets[1]:
            self._at += 1
            return
        while True:
            yield number
            number += 1
            if self.take("," + brackets[1]) == brackets[1]:
                return

    def _more(self) -> bool:
        """Whether there was more to read; what was taken is forgotten."""
        piece = self._read()
        self._text = self._text[self._at :] + self._decoder.decode(piece, not piece)
        self._at = 0
        return bool(piece)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        double = [key for key, n in Counter(key for key, _ in pairs).items() if n > 1]
        raise ValueError(f"the key {double[0][:80]!r} stands twice in one object")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:80]} is no finite number")
    return value


_WHOLE = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
