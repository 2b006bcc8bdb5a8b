"""Image files that contradict themselves, which a decoder would read in silence."""

import io
import struct
import zlib

import numpy as np
import pytest
from image_files import encode, encode_tiff, png_chunk, tiff, zero_half
from PIL import Image
from prints import ridges

from pipeline.imaging.file import decode
from pipeline.imaging.formats import tiff_lzw, wsq_coefficients
from shards.foundation.errors import Fault

PRINT = ridges(150, 130)[0]
HEIGHT, WIDTH = PRINT.shape
TWELVE = PRINT.astype(np.uint16) * 16  # 12 bits in samples that state 16
PGM = b"P5 130 150 255\n" + PRINT.tobytes()
FIELDS = {256: [WIDTH], 257: [HEIGHT], 258: [8], 259: [1], 262: [1]}


def png(rows, bits, colour_type, *chunks):
    """A PNG of an array of rows of bytes."""
    head = struct.pack(">II5B", WIDTH, HEIGHT, bits, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = ((b"IHDR", head), *chunks, (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def wide(pixels, channels):
    """Samples of 16 bits, high byte first, in equal channels."""
    return np.repeat(pixels[..., None], channels, axis=2).astype(">u2")


def bmp_of_runs(lines):
    """A BMP with run-length encoded lines of (count, grey)."""
    body = b"".join(b"".join(map(bytes, line)) + b"\0\0" for line in lines) + b"\0\1"
    palette = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))
    head = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 8, 1, len(body), 0, 0, 0, 0)
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head + palette + body


LINES = [[(1, int(grey)) for grey in row] for row in PRINT[::-1]]
WSQ = encode(PRINT, "WSQ")
BLOCKS = [k for k in range(len(WSQ)) if WSQ[k : k + 2] == b"\xff\xa3"]
TILES = encode(PRINT, "JPEG2000", tile_size=(64, 64), no_jp2=True)
TILE_STARTS = [k for k in range(len(TILES)) if TILES[k : k + 2] == b"\xff\x90"]
LZW = encode_tiff(PRINT, "tiff_lzw")


def test_lzw_is_measured_as_it_unfolds():
    rng = np.random.default_rng(0)
    for levels in (2, 16, 256):
        pixels = rng.integers(0, levels, (90, 700)).astype(np.uint8)
        data = encode_tiff(pixels, "tiff_lzw")
        tags = Image.open(io.BytesIO(data)).tag_v2
        strips = zip(tags[273], tags[279], strict=True)
        lengths = [tiff_lzw.unfolded_length(data[start : start + n]) for start, n in strips]
        assert sum(lengths) == pixels.size
    assert tiff_lzw.unfolded_length(b"") == -1
    assert tiff_lzw.unfolded_length(bytes(50)) == -1


def test_changed_bytes_of_lzw_are_refused():
    """libtiff reads on where a damaged code stands for another number of bytes."""
    tags = Image.open(io.BytesIO(LZW)).tag_v2
    start, end = tags[273][0], tags[273][-1] + tags[279][-1]
    refused = 0
    for place in range(start + 200, end - 10, (end - start) // 20):
        bad = bytearray(LZW)
        bad[place] ^= 0x5A
        try:
            decode(bytes(bad), "x")
        except Fault:
            refused += 1
    assert refused >= 15


def test_overlapping_strips_are_refused():
    half = WIDTH * HEIGHT // 2
    fields = FIELDS | {278: [HEIGHT // 2], 279: [half, half]}
    right = tiff(fields | {273: [8, 8 + half]}, PRINT.tobytes())
    assert np.array_equal(decode(right, "x").stored, PRINT)
    for offsets in ([8, 8], [8, half], [0, 8 + half]):
        with pytest.raises(Fault, match="x: is damaged: the TIFF's strips or tiles overlap"):
            decode(tiff(fields | {273: offsets}, PRINT.tobytes()), "x")


@pytest.mark.parametrize("size", [(130, 150), (131, 151), (97, 203), (144, 160)])
@pytest.mark.parametrize("smooth", [1, 9])
def test_number_of_coefficients_of_wsq(size, smooth):
    """Smooth images, whose fine subbands are not coded, show the size of each subband."""
    image = Image.fromarray(PRINT).resize(size)
    image = image.resize((size[0] // smooth, size[1] // smooth)).resize(size)
    wsq_coefficients.check_coefficients(encode(np.asarray(image), "WSQ"))


DAMAGED_WSQ = {
    "cut off, with an end": WSQ[: len(WSQ) // 2] + b"\xff\xa1",
    "without its last block": WSQ[: BLOCKS[-1]] + b"\xff\xa1",
    "without a block": WSQ[: BLOCKS[0]] + WSQ[BLOCKS[1] :],
    "with zeros": WSQ[: BLOCKS[0] + 60] + bytes(100) + WSQ[BLOCKS[0] + 160 :],
}


@pytest.mark.parametrize("name", DAMAGED_WSQ)
def test_damaged_wsq_is_refused(name):
    with pytest.raises(Fault, match="x: is damaged: the WSQ has"):
        decode(DAMAGED_WSQ[name], "x")


def test_channels_of_sixteen_bits():
    """Pillow keeps the high byte of each, whatever range is used."""
    full = PRINT.astype(np.uint16) * 257
    opaque = np.dstack([wide(full, 3), np.full((HEIGHT, WIDTH, 1), 65535)]).astype(">u2")
    for samples, colour_type in ((wide(full, 3), 2), (opaque, 6)):
        image = decode(png(samples, 16, colour_type), "x")
        assert np.array_equal(image.stored, PRINT)
        assert "16-bit grey, scaled to 8 bits by its range of 0 to 65535" in image.notes
    dark = {
        "has 16-bit grey up to": png(wide(TWELVE, 3), 16, 2),
        "has 16-bit grey up to 4": b"P6 130 150 65535\n" + wide(TWELVE, 3).tobytes(),
        "is a TIFF of several channels of 16 bits": tiff(
            FIELDS | {258: [16], 277: [3], 262: [2], 273: [8], 279: [6 * PRINT.size]},
            np.repeat(TWELVE[..., None], 3, axis=2).tobytes(),
        ),
    }
    for words, data in dark.items():
        with pytest.raises(Fault, match=f"x: {words}"):
            decode(data, "x")


def test_transparent_grey_of_png():
    grey = int(PRINT[70, 60])
    used = (b"tRNS", struct.pack(">H", grey))
    with pytest.raises(Fault, match="x: has transparent pixels"):
        decode(png(PRINT, 8, 0, used), "x")
    with pytest.raises(Fault, match="x: has transparent pixels"):
        decode(png(np.repeat(PRINT[..., None], 3, 2), 8, 2, (b"tRNS", used[1] * 3)), "x")
    unused = (b"tRNS", struct.pack(">H", 256))
    assert np.array_equal(decode(png(PRINT, 8, 0, unused), "x").stored, PRINT)
    with pytest.raises(Fault, match="tRNS is damaged"):
        decode(png(PRINT, 8, 0, (b"tRNS", bytes(6))), "x")


def test_palette_without_an_entry():
    palette = bytes(value for grey in range(100) for value in (grey, grey, grey))
    with pytest.raises(Fault, match="px of no entry of its palette of 100 colours"):
        decode(png(PRINT, 8, 3, (b"PLTE", palette)), "x")


def test_animated_png_is_said():
    assert decode(png(PRINT, 8, 0, (b"acTL", struct.pack(">II", 1, 0))), "x").notes == (
        "the still image of an animated PNG",
    )


def test_runs_of_bmp():
    assert np.array_equal(decode(bmp_of_runs(LINES), "x").stored, PRINT)
    longer = [*LINES[:70], [(5, 0), *LINES[70]], *LINES[71:]]
    shorter = [*LINES[:70], LINES[70][1:], *LINES[71:]]
    for bad, px in ((longer, WIDTH + 5), (shorter, WIDTH - 1)):
        with pytest.raises(Fault, match=f"x: is damaged: row 71 unfolds to {px} px; expected 130"):
            decode(bmp_of_runs(bad), "x")
    with pytest.raises(Fault, match="unfolds to 149 rows; expected 150"):
        decode(bmp_of_runs(LINES[1:]), "x")
    with pytest.raises(Fault, match="x: is a BMP that leaves out pixels"):
        decode(bmp_of_runs([[(0, 2), (5, 5)], *LINES]), "x")


def test_missing_tiles_of_jpeg_2000():
    assert np.array_equal(decode(TILES, "x").stored, PRINT)
    start, end = TILE_STARTS[3:5]
    with pytest.raises(Fault, match="x: has 8 of its 9 tiles"):
        decode(TILES[:start] + TILES[end:], "x")


def test_pgm_of_any_maximum():
    for maximum in (100, 1000, 4095):
        samples = np.round(PRINT * (maximum / 255))
        dtype = np.uint8 if maximum < 256 else ">u2"
        image = decode(b"P5\n# text\n130 150 %d\n" % maximum + samples.astype(dtype).tobytes(), "x")
        assert np.abs(image.stored.astype(int) - PRINT).max() <= 2
        assert f"range of 0 to {maximum}" in image.notes[0]
    windows = PGM.replace(b"\n", b"\r\n", 1)
    assert np.array_equal(decode(windows, "x").stored, PRINT)
    image = decode(PGM * 2, "x")
    assert np.array_equal(image.stored, PRINT)
    assert image.notes == ("the first of several images in the file",)


DAMAGED_PGM = {
    "has a sample of .*, and states a maximum of 100": PGM.replace(b"255\n", b"100\n", 1),
    "has 19500 bytes of pixels; expected 19350": PGM.replace(b"130 ", b"129 ", 1),
    "is truncated: has 19499 bytes of pixels; expected 19500": PGM[:-1],
    "has 3 samples; expected 19500": b"P2 130 150 255\n1 2 3",
    "samples that are no numbers": b"P2 130 150 255\n" + b"1 -1 " * 9750,
    "states a maximum of 0": PGM.replace(b"255\n", b"0\n", 1),
}


@pytest.mark.parametrize("words", DAMAGED_PGM)
def test_damaged_pgm_is_refused(words):
    with pytest.raises(Fault, match=f"x: .*{words}"):
        decode(DAMAGED_PGM[words], "x")


def test_zeros_within_strips_are_refused():
    for compression in ("tiff_lzw", "tiff_adobe_deflate"):
        data = encode_tiff(PRINT, compression)
        tags = Image.open(io.BytesIO(data)).tag_v2
        with pytest.raises(Fault, match="x: is damaged: strip or tile 1 of 1"):
            decode(zero_half(data, tags[273][0], tags[273][0] + tags[279][0]), "x")


@pytest.mark.parametrize("missing", [1, 30, 99])
def test_rows_that_a_grey_png_lacks_are_no_black_ones(missing):
    """Pillow fills in black where a whole stream is too short; a sound last row may be black."""
    rows = np.maximum(PRINT, 1)
    with pytest.raises(Fault, match="its pixels unfold to"):
        decode(png(rows[:-missing], 8, 0), "x")
    rows[-missing:] = 0
    np.testing.assert_array_equal(decode(png(rows, 8, 0), "x").stored, rows)
