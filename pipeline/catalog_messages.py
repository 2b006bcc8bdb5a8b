"""Messages about data sets that are missing or not understood."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.sources import published
from pipeline.sources.listing import FileNote
from shards.foundation.printable import counted, printable, printable_line

NIST_REQUEST = (
    "https://www.nist.gov/itl/iad/image-group/resources/biometric-special-databases-and-software"
)
FVC_REQUEST = "http://bias.csr.unibo.it/"
FVC_LAYOUT = "DB1_A/1_1.tif … DB4_B/110_8.tif"
LAYOUTS = {
    **{
        name: f"{FVC_LAYOUT}, best below a folder {name.upper()}; request at {FVC_REQUEST}{name}/"
        for name in ("fvc2000", "fvc2002", "fvc2004")
    },
    "fvc2006": "FVC2006/DB1_A/1_1.bmp … FVC2006/DB4_B/150_12.bmp",
    "sd300": f"images/500/png/roll/00001000_roll_500_01.png; request at {NIST_REQUEST}",
    "sd301a": "images/friction-ridge/dryrun-A/500/roll/png/00002223_01_dryrun-A_500_roll_01.png; "
    f"request at {NIST_REQUEST}",
    "sd302": "images/challengers/A/roll/png/00002303_A_roll_01.png (302a), "
    "images/baseline/U/500/roll/png/00002302_U_500_roll_09.png (302b), "
    "images/auxiliary/flat/M/500/plain/png/00002502_M_500_plain_04.png (302d); "
    f"request at {NIST_REQUEST}",
    **{
        name: ", ".join(
            layout.example for layout in published.LAYOUTS if layout.partition.startswith(name)
        )
        for name in published.DATA_SETS
    },
    "folder": "your own images, with --layout PATTERN or --list FILE and --name NAME; "
    "docs/OWN_DATA.md",
    "synthetic": "synthetic/NAME/00000_0.png, made by python -m pipeline synth; no files are "
    "needed where the config sets the number of fingers (--set pipeline.fingers=1000)",
}


@dataclass(frozen=True)
class MessageParameters:
    """Lengths of messages; chosen to fit a terminal. The audit lists everything."""

    lines: int = 10  # files or hints in one message
    similarity: float = 0.5  # least difflib ratio of a suggested name


DEFAULT = MessageParameters()


def no_data_set(roots: Sequence[Path], defaults: Sequence[Path], hints: Sequence[str]) -> str:
    """Return the message for roots without any data set.

    Args:
        roots: folders that were searched.
        defaults: folders that are searched by default.
        hints: lines about what was found instead.
    """
    layouts = "\n".join(f"  {name}: {layout}" for name, layout in LAYOUTS.items())
    return (
        f"no data set found; {_searched(roots, defaults)}. Expected, in one or "
        f"more:\n{layouts}\n{_format_hints(hints)}"
        "Name the folder with --data DIR (make: DATA=DIR). Without any data, make demo shows "
        "the whole way on synthetic fingers."
    )


def missing_partitions(
    missing: Sequence[str],
    available: Sequence[str],
    roots: Sequence[Path],
    defaults: Sequence[Path],
    hints: Sequence[str],
) -> str:
    """Return the message for missing partitions; `available` are the partitions that exist."""
    datasets = sorted({name.partition("/")[0] for name in missing})
    layouts = "\n".join(f"  {name}: {LAYOUTS[name]}" for name in datasets)
    build = f", or build what is there, other options as before:\n  {_make_line(roots, available)}"
    return (
        f"missing partitions: {', '.join(missing)}; {_searched(roots, defaults)} and found "
        f"{', '.join(available) or 'no usable image'}. Expected:\n{layouts}\n"
        f"{_format_hints(hints)}Add the data" + (build if available else ".")
    )


def _make_line(roots: Sequence[Path], partitions: Sequence[str]) -> str:
    """Return the command that builds these partitions."""
    data = shlex.quote(":".join(map(str, roots)))
    return f"make shards DATA={data} PARTITION={','.join(partitions)}"


def unparsed_files(notes: Sequence[FileNote]) -> str:
    """Return the message for files that are not understood."""
    lines = [printable_line(f"  {note.path}: {note.reason}") for note in notes[: DEFAULT.lines]]
    if len(notes) > DEFAULT.lines:
        lines.append(f"  and {len(notes) - DEFAULT.lines} more")
    return (
        f"{counted(len(notes), 'file')} not understood; python -m pipeline audit lists all. Mend"
        " or remove them, or leave them out with --skip-bad (make: SKIP_BAD=1):\n"
        + "\n".join(lines)
    )


def unknown_partition(name: str, partitions: Iterable[str]) -> str:
    """Return the message for a partition that no data set has, with the closest name."""
    names = {partition.casefold(): partition for partition in partitions}
    matches = difflib.get_close_matches(name.casefold(), names, 1, DEFAULT.similarity)
    if matches:
        return f"{name}: no data set has such a partition; did you mean {names[matches[0]]}?"
    return f"{name}: no data set has such a partition; there are {', '.join(names.values())}"


def _searched(roots: Sequence[Path], defaults: Sequence[Path]) -> str:
    if roots:
        return f"looked in {', '.join(map(str, roots))}"
    folders = " and ".join(map(str, defaults))
    return (
        f"looked in no folder (neither --data nor DENSEREG_DATA is set, and {folders} do not exist)"
    )


def _format_hints(hints: Sequence[str]) -> str:
    if not hints:
        return ""
    return printable("\n".join(["Other files found:", *hints[: DEFAULT.lines]]) + "\n")
