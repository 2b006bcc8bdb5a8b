"""Name files that are no images of a format that is read, and say what to do with them."""

from __future__ import annotations

import re

# First bytes of a file → what it is and what to do; "." is any byte
KINDS = {
    rb"version https://git-lfs": "is a Git LFS pointer instead of the image; run: git lfs pull",
    rb"1\.0*1:\d+": "is an ANSI/NIST-ITL container; write its images to files first, as with"
    " NIST NBIS (an2ktool -print all FILE fields.txt), and give those files",
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml|<itl:)": "is an XML file; if it is an ANSI/NIST-ITL container,"
    " decode the base64 image inside and give that file",
    rb"F[IM]R\0": "is an ISO/IEC 19794 record (FIR or FMR); unpack its images first",
    rb"(?i)\s*<(!doctype )?html": "is a web page, perhaps the error page of a download",
    rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf|BZh|\xfd7zXZ": "is an archive; unpack it first",
    rb"%PDF": "is a PDF; export its images as PNG first",
    rb"GIF8": "is a GIF; convert it to PNG",
    rb"RIFF....WEBP": "is a WebP image; convert it to PNG",
    rb"....ftyp(heic|heix|mif1|avif)": "is a HEIC or AVIF image; convert it to PNG",
    rb".{128}DICM": "is a DICOM file; export its image as PNG first",
    rb"\x93NUMPY": "is a NumPy array; save it as PNG",
}
HEAD_BYTES = 256  # enough for every pattern


def describe(data: bytes) -> str | None:
    """Return what a file is and what to do, by its first HEAD_BYTES; None where unknown."""
    head = data[:HEAD_BYTES]
    matches = (words for pattern, words in KINDS.items() if re.match(pattern, head, re.DOTALL))
    return next(matches, None)
