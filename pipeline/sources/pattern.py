"""A pattern of the paths of anyone's own images, such as {person}/{finger}_{impression}.

A pattern is text with fields in braces, or "re:" and a regular expression with named groups. It
describes the whole path of an image relative to the data root, with or without its extension. A
path that can be read in two ways is refused: nothing about identity is guessed. The word
"unlabelled" is a pattern that fits every path and identifies nobody.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipeline.sources.listing import FORMATS
from shards.foundation.errors import Misuse

FIELDS = ("person", "frgp", "session", "finger", "impression", "ppi")
REGULAR_EXPRESSION = "re:"
UNLABELLED = "unlabelled"
# Images whose fingers nobody knows count as impressions of one finger: two of them then form
# neither a genuine pair, since no map between them is known, nor an impostor pair.
OF_UNLABELLED = {"finger": "unknown", "split": "train"}
ADVICE = (
    "expected text with fields in braces, such as '{person}/{finger}_{impression}', or "
    "'re:' and a regular expression with such groups, or 'unlabelled'; the fields are "
    f"{', '.join(FIELDS)} (docs/OWN_DATA.md)"
)
TEXT = "[^/]+"
NUMBER = "[0-9]+"
NUMBERS = ("frgp", "ppi", "impression")  # fields


@dataclass(frozen=True)
class Pattern:
    """A compiled pattern.

    Attributes:
        text: the pattern as the user wrote it.
        readings: pairs of regular expressions, of which the first pair that matches is used: the
            same fields once as long and once as short as possible. Where both agree, there is one
            way to read a path.
        fields: names of the fields.
        extension: the extension in the pattern, in lower case; "" where it has none.
        stated: fields with the same text for every path.
    """

    text: str
    readings: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]
    fields: frozenset[str]
    extension: str = ""
    stated: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_expression(self) -> bool:
        """Whether the user wrote a regular expression."""
        return self.text.startswith(REGULAR_EXPRESSION)

    def parse(self, path: str) -> dict[str, str] | str:
        """Parse a path.

        Args:
            path: relative to the data root, with "/" between its parts.

        Returns:
            Field → its text; or why the path does not fit.
        """
        extension = PurePosixPath(path).suffix
        if self.extension not in ("", extension.lower()):
            return f"does not fit the pattern {self.text}, which ends with {self.extension}"
        for longest, shortest in self.readings:
            stem = path.removesuffix(extension)
            match, other = longest.fullmatch(stem), shortest.fullmatch(stem)
            if match is None or other is None:
                continue
            if match.groupdict() != other.groupdict():
                return (
                    f"fits the pattern {self.text} in two ways: {describe(match.groupdict())}; or "
                    f"{describe(other.groupdict())}. Use 're:' with a regular expression"
                )
            fields = {name: text for name, text in match.groupdict().items() if text}
            return {**fields, **self.stated}
        return f"does not fit the pattern {self.text}"


def describe(fields: dict[str, str]) -> str:
    """Return fields as text, such as "finger 7, impression 2"."""
    return ", ".join(f"{name} {fields[name]}" for name in FIELDS if fields.get(name))


def compile_pattern(text: str) -> Pattern:
    """Compile a pattern.

    Raises:
        Misuse: it is not a pattern, has an unknown field, or does not identify a finger.
    """
    if text == UNLABELLED:
        anything = re.compile("(?P<impression>.+)", re.DOTALL)
        fields = frozenset({"impression", *OF_UNLABELLED})
        return Pattern(text, ((anything, anything),), fields, stated=OF_UNLABELLED)
    if text.startswith(REGULAR_EXPRESSION):
        pattern = _compile_expression(text)
    else:
        pattern = _compile_fields(text)
    if not ("finger" in pattern.fields or {"person", "frgp"} <= pattern.fields):
        raise Misuse(
            f"--layout {text}: identifies no finger; expected {{finger}}, or {{person}}, {{frgp}}"
        )
    if {"finger", "frgp"} <= pattern.fields:
        raise Misuse(f"--layout {text}: has both {{finger}} and {{frgp}}; a finger is one of them")
    return pattern


def _compile_expression(text: str) -> Pattern:
    try:
        expression = re.compile(text.removeprefix(REGULAR_EXPRESSION))
    except re.error as error:
        raise Misuse(f"--layout {text}: is no regular expression: {error}") from error
    fields = frozenset(expression.groupindex)
    _check_fields(text, fields)
    return Pattern(text, ((expression, expression),), fields)


def _compile_fields(text: str) -> Pattern:
    extension = PurePosixPath(text).suffix
    extension = extension if extension.lower() in FORMATS else ""
    stem = text.removesuffix(extension)
    parts = re.split(r"\{([^{}]*)\}", stem)  # text, field, text, field, …, text
    names = parts[1::2]
    if not names or any(brace in part for part in parts[::2] for brace in "{}"):
        raise Misuse(f"--layout {text}: is no pattern; {ADVICE}")
    if text.startswith(("/", "~")) or ".." in text.split("/"):
        raise Misuse(f"--layout {text}: starts elsewhere; a pattern is relative to the data root")
    _check_fields(text, names)
    readings = [(_expression(parts, NUMBERS, ""), _expression(parts, NUMBERS, "?"))]
    if "impression" in names:  # not a number: a text
        numbers = ("frgp", "ppi")
        readings.append((_expression(parts, numbers, ""), _expression(parts, numbers, "?")))
    return Pattern(text, tuple(readings), frozenset(names), extension.lower())


def _expression(parts: list[str], numbers: Collection[str], lazy: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern's parts; a repeated field must repeat its text."""
    pieces, repeatable = [], set()
    for k, part in enumerate(parts):
        if k % 2 == 0:
            pieces.append(re.escape(part))
        elif part in repeatable:
            pieces.append(f"(?P={part})")
        else:
            repeatable.add(part)
            text = (NUMBER if part in numbers else TEXT) + lazy
            decimals = rf"(?:\.{NUMBER}{lazy})?{lazy}" if part == "ppi" else ""
            pieces.append(f"(?P<{part}>{text}{decimals})")
    return re.compile("".join(pieces), re.DOTALL)


def _check_fields(text: str, names: Iterable[str]) -> None:
    for name in names:
        if name not in FIELDS:
            close = difflib.get_close_matches(name, FIELDS, 1)
            question = f"; did you mean {close[0]}?" if close else ""
            raise Misuse(f"--layout {text}: there is no field {name!r}{question}; {ADVICE}")
