"""Text with names of files, made safe for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with undecodable bytes and control characters escaped; lines stay lines."""
    text = "".join(c if c.isprintable() or c in "\n\t" else _escape(c) for c in text)
    return text.encode("utf-8", "backslashreplace").decode()


def printable_line(text: str) -> str:
    """Return the text as `printable` does, line breaks escaped too."""
    return printable(text.replace("\n", "\\n"))


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 image", "2 images", "1,000 images"; `plural` where it is not `noun` with an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def percent(share: float, decimals: int = 0) -> str:
    """Return 0.394 as "39 %"."""
    return f"{100 * share:.{decimals}f} %"
