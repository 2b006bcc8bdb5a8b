"""Any bytes, any array and any folder of files: a result, or a Fault that names the input."""

import json
import struct
import zlib
from itertools import chain

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from image_files import encode
from prints import ridges

from pipeline.audit.audit import audit
from pipeline.audit.text import format_audit
from pipeline.catalog import discover
from pipeline.imaging import cropping, header, preprocess
from pipeline.imaging.file import DEFAULT, decode
from pipeline.imaging.formats import pillow
from pipeline.sources.listing import ACCOMPANYING, FORMATS
from shards.foundation.errors import Fault

fuzz = settings(derandomize=True, deadline=None, max_examples=400)

PRINT = ridges(90, 80)[0]
LZW, RAW = 5, 1
OTHERS = {  # names of Pillow's formats, and its options
    "TIFF": {"compression": "packbits"},
    "JPEG2000": {},
    "PPM": {},
    "WSQ": {},
}
FILES = {
    "png": cv2.imencode(".png", PRINT)[1].tobytes(),
    "three channels": cv2.imencode(".png", np.dstack([PRINT] * 3))[1].tobytes(),
    "tif": cv2.imencode(".tif", PRINT, [cv2.IMWRITE_TIFF_COMPRESSION, RAW])[1].tobytes(),
    "lzw": cv2.imencode(".tif", PRINT, [cv2.IMWRITE_TIFF_COMPRESSION, LZW])[1].tobytes(),
    "bmp": cv2.imencode(".bmp", PRINT)[1].tobytes(),
    "jpg": cv2.imencode(".jpg", PRINT)[1].tobytes(),
    **{name: encode(PRINT, name, **options) for name, options in OTHERS.items()},
}
SIGNATURES = (b"", *(signature for kind in header.FORMATS for signature in kind.signatures))
PNG = b"\x89PNG\r\n\x1a\n"


def check_decode(data):
    """Decode to an image within the limits, or raise a Fault that names the file."""
    try:
        image = decode(data, "the file").stored
    except Fault as fault:
        assert str(fault).startswith("the file: ")
        return
    low, high = DEFAULT.side_range
    assert image.dtype == np.uint8
    assert image.ndim == 2
    assert low <= min(image.shape) <= max(image.shape) <= high


@fuzz
@given(signature=st.sampled_from(SIGNATURES), rest=st.binary(max_size=300))
def test_any_bytes(signature, rest):
    check_decode(signature + rest)


@st.composite
def damaged_files(draw):
    """A valid file with bytes changed, cut off, removed or inserted, mostly in its header."""
    data = bytearray(FILES[draw(st.sampled_from(sorted(FILES)))])
    for _ in range(draw(st.integers(1, 4))):
        end = draw(st.sampled_from([60, len(data)]))
        at = draw(st.integers(0, max(0, min(end, len(data)) - 1)))
        match draw(st.sampled_from(["change", "change", "cut", "take", "put"])):
            case "change":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
            case "cut":
                del data[at:]
            case "take":
                del data[at : at + draw(st.integers(1, 40))]
            case "put":
                data[at:at] = draw(st.binary(min_size=1, max_size=40))
    return bytes(data)


@fuzz
@given(data=damaged_files())
def test_damaged_files(data):
    check_decode(data)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@fuzz
@given(
    size=st.tuples(st.integers(0, 2**32 - 1) | st.integers(60, 90), st.integers(60, 90)),
    kind=st.tuples(*[st.sampled_from([0, 1, 2, 3, 4, 6, 8, 16, 255])] * 5),
    pixels=st.binary(max_size=200),
    packed=st.booleans(),
)
def test_invalid_png_files_with_valid_checksums(size, kind, pixels, packed):
    header = struct.pack(">II5B", *size, *kind)
    body = zlib.compress(pixels) if packed else pixels
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", body), chunk(b"IEND", b""))
    check_decode(PNG + b"".join(parts))


def tiff(width, height):
    fields = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (279, 4)]
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields)
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + packed + bytes(4)


def bmp(width, height):
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078, 0, 0, 1078) + info + bytes(1024)


def png(width, height):
    header = struct.pack(">II5B", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b""))
    return PNG + b"".join(parts)


@pytest.mark.parametrize("make", [png, tiff, bmp])
@pytest.mark.parametrize("size", [(60_000, 60_000), (300, 2_000_000_000), (20_000, 300)])
def test_too_large_images_are_rejected_before_decoding(make, size, monkeypatch):
    monkeypatch.setattr(pillow, "decode_pixels", lambda *_: pytest.fail("the decoder was called"))
    with pytest.raises(Fault, match=rf"bomb: measures {size[0]}×{size[1]} px"):
        decode(make(*size), "bomb")


def test_bmp_with_rows_from_top_to_bottom():
    """The height in the header is negative if the first row is the top one."""
    down = bytearray(FILES["bmp"])
    (height,) = struct.unpack_from("<i", down, 22)
    struct.pack_into("<i", down, 22, -height)
    assert np.array_equal(decode(bytes(down), "x").stored, PRINT[::-1])


def test_decoders_print_nothing_about_damage(capfd):
    """The messages of libtiff and the WSQ library on the terminal would not name the file."""
    for data in FILES.values():
        for at in range(1, len(data), len(data) // 40):
            check_decode(data[:at])
            check_decode(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


DTYPES = [np.uint8, np.uint8, np.uint8, np.uint16, np.float32, np.bool_, np.int64]
SHAPES = st.lists(st.integers(0, 90), min_size=0, max_size=3).map(tuple)
PPI = st.floats(allow_nan=True) | st.floats(100, 4000)


@fuzz
@given(
    image=st.sampled_from(DTYPES).flatmap(lambda t: arrays.arrays(t, SHAPES)),
    ppi=PPI,
)
def test_any_array(image, ppi):
    try:
        preprocess.prepare(image, ppi, "the array")
    except Fault as fault:
        assert str(fault).startswith("the array: ")


@fuzz
@given(
    size=st.tuples(st.integers(64, 400), st.integers(64, 400)),
    period=st.floats(2, 40),
    ppi=st.sampled_from([300.0, 500.0, 569.0, 1000.0]),
    contrast=st.integers(0, 250),
    noise=st.floats(0, 60),
)
def test_any_image(size, period, ppi, contrast, noise):
    """Ridges of any size, period and contrast: a crop of the requested size, or a Fault."""
    rng = np.random.default_rng(0)
    clean = ridges(*size, light=250, dark=250 - contrast, period=period)[0]
    image = np.clip(clean + rng.normal(0, noise, size), 0, 255).astype(np.uint8)
    try:
        prepared = preprocess.prepare(image, ppi, "the image")
    except Fault as fault:
        assert str(fault).startswith("the image: ")
        return
    height, width = prepared.image.shape
    assert 0 <= prepared.centre[0] < width
    assert 0 <= prepared.centre[1] < height
    crop = cropping.extract_crop(cropping.sample_centre(prepared, 288, rng))
    assert crop.image.shape == crop.mask.shape == (128, 128)
    assert np.isfinite(crop.to_original).all()


# --- whole trees ------------------------------------------------------------------------------

FOLDERS = [
    "DB1_A",
    "images/500/png/roll",
    "images/1000/png/NIST300_rolled",
    "images/friction-ridge/dryrun-A/variable/roll/png",
    "images/friction-ridge/dryrun-A/500/roll/png",
    "images/friction-ridge/dryrun-Z/strange/iris/png",
    "images/challengers/C/roll/png",
    "images/baseline/R/500/slap-segmented/png",
    "images/auxiliary/flat/L/500/plain/png",
    "synthetic/x",
    "elsewhere",
]
NAMES = st.one_of(
    st.from_regex(
        r"(00002302|00002497|00002354)(_01)?(_(C|L|R|dryrun-A))?(_(500|1000|variable))?"
        r"(_(roll|plain|slap))?_(0[148]|1[1346]|99)|[1-3]_[1-9]|0000[01]_0",
        fullmatch=True,
    ),
    st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=20).filter(
        lambda name: name not in (".", "..")
    ),
)
EXTENSIONS = st.sampled_from([".png", ".PNG", ".tif", ".jpg", "", ".json", ".csv"])
CONTENTS = {
    "complete": FILES["png"],
    "cut off": FILES["png"][:-9],
    "of another format": FILES["tif"],
    "empty": b"",
    "no image": b"\xff\0",
}
TREES = st.dictionaries(
    st.tuples(st.sampled_from(FOLDERS), NAMES, EXTENSIONS),
    st.sampled_from([*CONTENTS]),
    max_size=25,
)


@settings(fuzz, max_examples=150)
@given(files=TREES)
def test_audit_of_any_tree_counts_every_file_once(files, tmp_path_factory):
    """Each file is used, excluded, not understood or in an unknown folder, and counted once."""
    root = tmp_path_factory.mktemp("tree")
    for (folder, name, extension), content in files.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / (name + extension)).write_bytes(CONTENTS[content])
    catalog = discover([root])
    try:
        result = audit(catalog, checksums=True)
    except Fault as fault:
        assert not catalog.partitions and "no data set found" in str(fault)
        return
    json.dumps(result.to_json())
    assert str(root) in format_audit(result)
    listed = [i.path for i in chain.from_iterable(catalog.partitions.values())]
    listed += [note.path for kind in ("excluded", "unparsed") for note in catalog.notes(kind)]
    folders = {folder for listing in catalog.listings.values() for folder in listing.folders}
    files = [p for p in root.rglob("*") if p.is_file() and not ACCOMPANYING.fullmatch(p.name)]
    assert sorted(listed) == sorted(p for p in files if p.parent in folders)
    others = [p for p in files if p.parent not in folders and p.name.lower().endswith(FORMATS)]
    assert sum(catalog.unknown_folders.values()) == len(others)
