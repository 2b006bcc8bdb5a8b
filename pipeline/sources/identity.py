"""Identity of anyone's own images: from the fields of a name or of a list's row to impressions.

Two images of the same finger, session and impression are refused, as are two names of a finger or a
person that differ in case or leading zeros alone, and a person in two splits.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from pipeline.imaging import resolution
from pipeline.imaging.resolution import UnknownResolution, stated_ppi
from pipeline.impression import Impression
from pipeline.sources.listing import FORMAT, FORMATS, RAW_FORMATS, FileNote, Listing
from pipeline.sources.nist import PLAIN_THUMBS
from pipeline.sources.pattern import describe
from shards.manifest import SPLITS

OTHER_TAG = "; the file states "
ONE = "they differ in case or leading zeros alone, and one name is expected"
NAMES = ("person", "finger")  # fields
# Characters of a name. Chosen: as many as a file's name has; a record stores 65,535 bytes of an id.
LONGEST_NAME = 255
SAFE = " +,=@()~"  # characters of ids beside letters, digits and "_.-"; others become %XX


@dataclass(frozen=True, eq=False)
class Entry:
    """An image file and what its name or its row in a list states.

    Attributes:
        path: the file.
        name: path relative to the data root or to the list, with "/".
        where: the place in messages: the name, or the line of the list.
        fields: field → its text; a field that is not stated is absent.
        is_labelled: whether the fields identify a finger; else the impression is the path alone.
    """

    path: Path
    name: str
    where: str
    fields: Mapping[str, str]
    is_labelled: bool = True

    @property
    def stem(self) -> str:
        """The name without extension."""
        return self.name.removesuffix(self.path.suffix)

    def text(self, field: str) -> str:
        """Return the text of a field; "" where it is not stated."""
        return self.fields.get(field, "")


@dataclass(frozen=True, eq=False)
class Identified:
    """An entry that is understood: its impression, and where its resolution is from."""

    entry: Entry
    impression: Impression
    ppi_source: str

    @property
    def finger_key(self) -> tuple[str, str]:
        """Person and finger, without differences of case and leading zeros."""
        frgp = self.impression.frgp
        return _fold(self.entry.text("person")), str(frgp or _fold(self.entry.text("finger")))

    @property
    def key(self) -> tuple[str, ...]:
        """Finger, session and impression, without differences of case and leading zeros.

        Paths of unlabelled images differ by them: nobody means one image by two of them.
        """
        if not self.entry.is_labelled:
            return (self.entry.text("impression"),)
        more = (_fold(self.entry.text(field)) for field in ("session", "impression"))
        return (*self.finger_key, *more)

    @property
    def note(self) -> FileNote:
        """The file, and the identity and resolution that were read from its name or row."""
        fields = {key: text for key, text in self.entry.fields.items() if key != "ppi"}
        identity = f"{describe(fields)}, {self.impression.ppi:g} ppi ({self.ppi_source})"
        split = f", {self.impression.split}" if self.impression.split else ""
        return FileNote(self.entry.path, self.impression.partition, identity + split)


def identify(
    entries: Sequence[Entry],
    partition: str,
    ppi: float | None,
    raw_size: tuple[int, int] | None = None,
) -> Listing:
    """Return the impressions of entries, with notes about those that are not understood.

    Args:
        entries: all images of the partition.
        partition: "folder/NAME".
        ppi: resolution of images whose fields state none; None for the one in the file's header.
        raw_size: (width, height) in px of files without header.
    """
    listing = Listing()
    understood = []
    with_person = any("person" in entry.fields for entry in entries)
    for entry in entries:
        result = _identify(entry, partition, ppi, with_person)
        if isinstance(result, str):
            listing.unparsed.append(FileNote(entry.path, partition, _at(entry, result)))
        else:
            is_raw = entry.path.suffix.lower() in RAW_FORMATS
            impression = replace(result.impression, raw_size=raw_size if is_raw else None)
            understood.append(replace(result, impression=impression))
    single = list(_one_format_each(understood, listing))
    conflicts: dict[Entry, str] = {}
    for entry, reason in _conflicts(single):
        conflicts.setdefault(entry, reason)
    for one in single:
        if one.entry in conflicts:
            reason = _at(one.entry, conflicts[one.entry])
            listing.unparsed.append(FileNote(one.entry.path, partition, reason))
        else:
            listing.impressions.append(one.impression)
            listing.understood.append(one.note)
    listing.impressions.sort(key=lambda impression: impression.image_id)
    return listing


def _at(entry: Entry, reason: str) -> str:
    """Return a reason, preceded by the place where it is not the file itself."""
    return reason if entry.where == entry.name else f"{entry.where}: {reason}"


def _identify(
    entry: Entry, partition: str, ppi_option: float | None, with_person: bool
) -> Identified | str:
    """Return what an entry states, or why it is not understood."""
    fields = entry.fields
    if reason := _find_fault(fields, with_person):
        return reason
    frgp = _parse_frgp(fields["frgp"]) if "frgp" in fields else None
    if isinstance(frgp, str):
        return frgp
    resolved = _resolve_ppi(fields.get("ppi"), ppi_option, entry.path)
    if isinstance(resolved, str):
        return resolved
    ppi, source = resolved
    finger = f"{frgp:02d}" if frgp else _quote(fields["finger"])
    person = f"{partition}/{_quote(fields['person'])}" if with_person else f"{partition}/{finger}"
    impression = Impression(
        path=entry.path,
        image_id=f"{partition}/{_quote(entry.stem)}",
        partition=partition,
        person=person,
        finger=f"{person}/{finger}" if with_person else person,
        ppi=ppi,
        frgp=frgp,
        split=fields.get("split"),
    )
    return Identified(entry, impression, source)


def _find_fault(fields: Mapping[str, str], with_person: bool) -> str | None:
    """Return what is wrong with the fields of an entry; None where they identify a finger."""
    if "finger" not in fields and not {"person", "frgp"} <= fields.keys():
        return "states no finger; expected a finger, or a person and a frgp"
    if {"finger", "frgp"} <= fields.keys():
        return "states both a finger and a frgp; a finger is one of them"
    if with_person and "person" not in fields:
        return "states no person, as others do"
    for name in NAMES:
        if len(fields.get(name, "")) > LONGEST_NAME:
            return f"its {name} has {len(fields[name]):,} characters; expected up to {LONGEST_NAME}"
    if fields.get("split", "train") not in SPLITS:
        return f"its split is {fields['split']!r}; expected {', '.join(SPLITS)}, or nothing"
    return None


def _parse_frgp(text: str) -> int | str:
    """Return the finger 1-10 of a finger position code, or why it is none."""
    code = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 1 <= code <= 12:
        return f"its frgp is {text!r}; expected a finger position from 1 to 12 (FRGP)"
    return PLAIN_THUMBS.get(code, code)


def _resolve_ppi(text: str | None, option: float | None, path: Path) -> tuple[float, str] | str:
    """Return the resolution and its source, or why it is unknown."""
    if text is not None:
        ppi = resolution.parse_ppi(text)
        if ppi is None:
            return f"its ppi is {text!r}; {resolution.DEFAULT.expected}"
        return ppi, "stated for this image" + _other_tag(ppi, path)
    if option is not None:
        return option, "--ppi" + _other_tag(option, path)
    try:
        return stated_ppi(path), "in the file"
    except UnknownResolution as error:
        return f"{error}; state it with --ppi (make: PPI=500) or in a column or field ppi"


def _other_tag(ppi: float, path: Path) -> str:
    """Return a remark where an image's header states a resolution that differs by 1 % or more."""
    try:
        tag = stated_ppi(path)
    except UnknownResolution:
        return ""
    same = abs(tag - ppi) < resolution.DEFAULT.square_tolerance * ppi
    return "" if same else f"{OTHER_TAG}{tag:g}"


def _one_format_each(understood: Sequence[Identified], listing: Listing) -> Iterator[Identified]:
    """Yield one file of each image; note copies in other formats as excluded."""
    images: dict[tuple[object, ...], list[Identified]] = defaultdict(list)
    for one in understood:
        entry = one.entry
        images[one.key, entry.path.parent, entry.path.stem.casefold()].append(one)
    for copies in images.values():
        by_format: dict[str, Identified] = {}
        for one in sorted(copies, key=lambda one: str(one.entry.path)):
            extension = one.entry.path.suffix.lower()
            if by_format.setdefault(extension, one) is not one:
                yield one  # two files of one format: a conflict
        best, *others = sorted(by_format, key=(*FORMATS, *RAW_FORMATS).index)
        yield by_format[best]
        for extension in others:
            one = by_format[extension]
            listing.excluded.append(FileNote(one.entry.path, one.impression.partition, FORMAT))


def _conflicts(understood: Sequence[Identified]) -> Iterator[tuple[Entry, str]]:
    """Yield each entry that contradicts another one, and how."""
    for one, other in _pairs(understood, lambda one: str(one.entry.path)):
        yield one.entry, f"is listed twice, also in {other.entry.where}"
    for one, other in _pairs(understood, lambda one: _fold(one.entry.text("person")), _person):
        yield (
            one.entry,
            f"its person {_person(one)!r} is {_person(other)!r} in {other.entry.where}; {ONE}",
        )
    for one, other in _pairs(understood, lambda one: one.finger_key, _finger):
        yield (
            one.entry,
            f"its finger {_finger(one)!r} is {_finger(other)!r} in {other.entry.where}; {ONE}",
        )
    for one, other in _pairs(understood, lambda one: one.key):
        what = describe(
            {f: one.entry.text(f) for f in ("person", "frgp", "finger", "session", "impression")}
        )
        yield one.entry, f"is the same impression as {other.entry.where}: {what}"
    for one, other in _pairs(understood, lambda one: one.impression.image_id):
        yield one.entry, f"has the name of {other.entry.where} apart from the format"
    for one, other in _pairs(understood, lambda one: one.impression.person, _split):
        splits = (
            f"{_split(one) or 'no split'}, that of {other.entry.where} in {_split(other) or 'none'}"
        )
        yield one.entry, f"its person or finger is in {splits}; expected one split of a person"
    for one, other in _pairs(understood, lambda one: "", lambda one: bool(_split(one))):
        if not _split(one):
            yield (
                one.entry,
                f"states no split, {other.entry.where} does; expected one in every row or none",
            )


def _person(one: Identified) -> str:
    return one.entry.text("person")


def _finger(one: Identified) -> str:
    return one.entry.text("finger")


def _split(one: Identified) -> str:
    return one.impression.split or ""


def _pairs(
    understood: Sequence[Identified],
    key: Callable[[Identified], Hashable],
    value: Callable[[Identified], Hashable] = id,
) -> Iterator[tuple[Identified, Identified]]:
    """Yield each one that has the key of another one but another value, with the first such one."""
    groups: dict[Hashable, dict[Hashable, Identified]] = defaultdict(dict)
    for one in understood:
        groups[key(one)].setdefault(value(one), one)
    for one in understood:
        firsts = groups[key(one)].items()
        if len(firsts) > 1:
            yield one, next(other for its, other in firsts if its != value(one))


def _fold(text: str) -> str:
    """Return a text without differences of case, Unicode form and leading zeros."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"0*([0-9]+)", r"\1", text)


def _quote(text: str) -> str:
    """Return a text in ASCII, as a part of an id: other characters are %XX, as in a URL."""
    return quote(os.fsencode(text), SAFE)
