"""Small images in the folders and under the names of the deliveries."""

import csv
import hashlib
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.sources.folders import walk
from pipeline.sources.listing import list_images

INCH = 0.0254  # metres
PLAIN_CODES = (2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14)  # SD300's plain boxes, slaps included
DEVICE_CAPTURES = {
    **dict.fromkeys("AB", ("roll",)),
    **dict.fromkeys("CFGKP", ("slap", "slap-segmented")),
    **dict.fromkeys("DEJLMN", ("plain",)),
    "H": ("palm", "slap"),
}


def list_files(reader, root: Path):
    """The files of one data set below `root`; `reader` is its module in pipeline.sources."""
    return list_images(walk([root]), reader.match_folder)


def count_reasons(notes):
    """Return the number of notes by reason."""
    return Counter(note.reason for note in notes)


def find_image(listing, stem: str):
    """Return the only impression whose file has this stem."""
    (impression,) = [i for i in listing.impressions if i.path.stem == stem]
    return impression


def png(
    path: Path,
    ppi: float | None = None,
    size: int | tuple[int, int] = 8,
    metres: tuple | None = None,
) -> Path:
    """Write a grey PNG of size × size or (width, height) px; the end of its path decides its px."""
    width, height = (size, size) if isinstance(size, int) else size
    seed = zlib.crc32("/".join(path.parts[-6:]).encode())
    rows = b"".join(
        b"\0" + struct.pack(">I", (seed + y) % 2**32) * (width // 4) for y in range(height)
    )
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))]
    if ppi is not None:
        metres = (round(ppi / INCH), round(ppi / INCH), 1)
    if metres is not None:
        chunks.append((b"pHYs", struct.pack(">IIB", *metres)))
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def fvc2002(
    root: Path,
    folder: str = "DB1_A",
    fingers: Iterable[int] = range(1, 4),
    extension: str = ".tif",
    size: int | tuple[int, int] = 8,
) -> Path:
    """Write files of FVC that contain PNGs; by their default size they may be of any year."""
    for finger in fingers:
        for impression in range(1, 9):
            png(root / folder / f"{finger}_{impression}{extension}", size=size)
    return root


def sd300(root: Path, subjects: Iterable[int], resolution: int = 500, roll: str = "roll") -> Path:
    """Write a release of SD300; the PNG headers of release c have 5080 ppi."""
    header_ppi = {2000: 5080}.get(resolution, resolution)
    for subject in subjects:
        for capture, folder, codes in (
            ("roll", roll, range(1, 11)),
            ("plain", "plain", PLAIN_CODES),
        ):
            for code in codes:
                name = f"{subject:08d}_{capture}_{resolution}_{code:02d}.png"
                png(root / "images" / str(resolution) / "png" / folder / name, header_ppi)
    return root


def sd301a(
    root: Path, subjects: Iterable[int], devices: str = "ABC", resolution: str = "500"
) -> Path:
    """Write files of SD301a; those of a `variable` device have 508 ppi in their headers."""
    ppi = 508 if resolution == "variable" else int(resolution)
    for subject in subjects:
        for device in devices:
            for capture in DEVICE_CAPTURES[device]:
                codes = {"slap": (13, 14, 15), "palm": (21, 25)}.get(capture, range(1, 11))
                for code in codes:
                    word = capture.removesuffix("-segmented")
                    name = f"{subject:08d}_01_dryrun-{device}_{resolution}_{word}_{code:02d}.png"
                    folder = f"images/friction-ridge/dryrun-{device}/{resolution}/{capture}/png"
                    png(root / folder / name, ppi)
    return root


def sd302(
    root: Path,
    subjects: Iterable[int],
    devices: str = "AULR",
    resolutions: Sequence[int] = (500,),
    codes: Iterable[int] = range(1, 11),
) -> Path:
    """Write files of SD302a, b and d; those of 302a have the resolution in their headers only."""
    codes = list(codes)
    for subject in subjects:
        for device in devices:
            stem = f"{subject:08d}_{device}"
            if device in "ABCDEFGH":
                for code in codes:
                    folder = root / f"images/challengers/{device}/roll/png"
                    png(folder / f"{stem}_roll_{code:02d}.png", 500)
                continue
            for ppi in resolutions:
                if device in "RS":
                    folder = root / f"images/baseline/{device}/{ppi}"
                    for code in (13, 14, 15):
                        png(folder / f"slap/png/{stem}_{ppi}_slap_{code:02d}.png", ppi)
                    for code in codes:
                        png(folder / f"slap-segmented/png/{stem}_{ppi}_slap_{code:02d}.png", ppi)
                    continue
                kind, capture = (
                    ("baseline", "roll") if device in "UV" else ("auxiliary/flat", "plain")
                )
                folder = root / f"images/{kind}/{device}/{ppi}/{capture}/png"
                for code in codes:
                    png(folder / f"{stem}_{ppi}_{capture}_{code:02d}.png", ppi)
    return root


def checksums(folder: Path, table: Path, header: tuple[str, str] = ("sha256", "filename")) -> Path:
    """Write the publisher's list of the files in `folder` under the header (hash, name)."""
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(header)
        for path in sorted(folder.glob("*.png")):
            rows.writerow((hashlib.sha256(path.read_bytes()).hexdigest(), path.name))
    return table
