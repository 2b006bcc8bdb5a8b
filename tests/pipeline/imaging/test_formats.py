"""Image files of every format: read rightly, or refused by name."""

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from image_files import encode, encode_tiff, exif, png_chunk, tiff, tiled_tiff, zero_half
from PIL import Image
from prints import ridges

from pipeline.imaging import header, orientation, preprocess
from pipeline.imaging.file import decode, parse_raw_size
from pipeline.imaging.formats import wsq_process
from pipeline.imaging.formats.common import DamagedFile
from pipeline.imaging.warp import apply_affine
from shards.foundation.errors import Fault, Misuse

PRINT = ridges(150, 130)[0]
WIDE = PRINT.astype(np.uint16) * 257
PNG = b"\x89PNG\r\n\x1a\n"


def png_with(chunks, pixels=PRINT):
    """A PNG with more chunks after its header."""
    data = encode(pixels, "PNG")
    end_of_header = len(PNG) + 25
    return data[:end_of_header] + b"".join(chunks) + data[end_of_header:]


def jpeg_with_exif(data):
    return encode(PRINT, "JPEG", quality=95, exif=b"Exif\0\0" + data)


FIELDS = {256: [130], 257: [150], 258: [8], 259: [1], 262: [1], 273: [8], 279: [130 * 150]}
LOSSLESS = {
    "PNG": encode(PRINT, "PNG"),
    "interlaced PNG": None,
    "PNG of grey with opaque alpha": encode(np.dstack([PRINT, np.full_like(PRINT, 255)]), "PNG"),
    "PNG with a palette": None,
    "PGM": encode(PRINT, "PPM"),
    "text PGM": b"P2\n# a remark\n130 150\n255\n" + " ".join(map(str, PRINT.ravel())).encode(),
    "BMP": encode(PRINT, "BMP"),
    "BMP of three channels": encode(np.dstack([PRINT] * 3), "BMP"),
    "BMP of four channels": encode(np.dstack([PRINT] * 3 + [np.full_like(PRINT, 255)]), "BMP"),
    "JPEG 2000": encode(PRINT, "JPEG2000"),
    "JPEG 2000 codestream": encode(PRINT, "JPEG2000", no_jp2=True),
    "TIFF": encode_tiff(PRINT),
    "TIFF, LZW": encode_tiff(PRINT, "tiff_lzw"),
    "TIFF, LZW with predictor": cv2.imencode(".tif", PRINT)[1].tobytes(),
    "TIFF, Deflate": encode_tiff(PRINT, "tiff_adobe_deflate"),
    "TIFF, PackBits": encode_tiff(PRINT, "packbits"),
    "TIFF, white is 0": tiff(FIELDS | {262: [0]}, (255 - PRINT).tobytes()),
    "TIFF of 16 bits": encode_tiff(WIDE),
    "TIFF, high byte first": tiff(
        FIELDS,
        PRINT.tobytes(),
        ">",
    ),
    "TIFF of tiles": tiled_tiff(PRINT, 64, 1),
    "TIFF of small tiles": tiled_tiff(PRINT, 16, 1),
    "BigTIFF": None,
    "PNG of 16 bits": encode(WIDE, "PNG"),
}


def os2_bmp():
    """A BMP with the header of OS/2, of 12 bytes."""
    rows = np.zeros((150, 132), np.uint8)
    rows[:, :130] = PRINT[::-1]
    palette = bytes(value for grey in range(256) for value in (grey, grey, grey))
    head = struct.pack("<IHHHH", 12, 130, 150, 1, 8) + palette
    body = rows.tobytes()
    return (
        b"BM"
        + struct.pack("<IHHI", 14 + len(head) + len(body), 0, 0, 14 + len(head))
        + (head + body)
    )


def palette_png():
    image = Image.fromarray(PRINT).convert("P")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def interlaced_png():
    """A PNG of the seven passes of Adam7 (PNG specification, section 8.1)."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4))
    passes += ((1, 0, 2, 2), (0, 1, 1, 2))
    rows = [b"\0" + row.tobytes() for x, y, dx, dy in passes for row in PRINT[y::dy, x::dx]]
    head = struct.pack(">II5B", 130, 150, 8, 0, 0, 0, 1)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return PNG + b"".join(png_chunk(*part) for part in parts)


def big_tiff(**more):
    """A BigTIFF; `more` are entries of the form tag_258=(type, count, value or offset)."""
    numbers = {256: 130, 257: 150, 258: 8, 259: 1, 262: 1, 273: 16, 279: 130 * 150}
    fields = {tag: (4, 1, number) for tag, number in numbers.items()}
    fields |= {int(name.removeprefix("tag_")): entry for name, entry in more.items()}
    entries = b"".join(struct.pack("<HHQQ", tag, *fields[tag]) for tag in sorted(fields))
    head = b"II+\0" + struct.pack("<HHQ", 8, 0, 16 + PRINT.size)
    return head + PRINT.tobytes() + struct.pack("<Q", len(fields)) + entries + bytes(8)


LOSSLESS |= {
    "PNG with a palette": palette_png(),
    "interlaced PNG": interlaced_png(),
    "BigTIFF": big_tiff(),
    "BMP of OS/2": os2_bmp(),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_the_pixels(name):
    assert np.array_equal(decode(LOSSLESS[name], name).stored, PRINT)
    assert header.image_size(io.BytesIO(LOSSLESS[name])) == (130, 150)


@pytest.mark.parametrize(
    "data",
    [
        encode(PRINT, "JPEG", quality=95),
        encode(np.dstack([PRINT] * 3), "JPEG", quality=95),
        encode(PRINT, "JPEG", quality=95, progressive=True),
        encode(PRINT, "WSQ"),
        encode_tiff(PRINT, "jpeg"),
    ],
    ids=["JPEG", "JPEG in colour", "progressive JPEG", "WSQ", "TIFF, JPEG"],
)
def test_lossy_formats_give_about_the_pixels(data):
    image = decode(data, "x").stored.astype(int)
    assert np.abs(image - PRINT).mean() < 12
    assert np.corrcoef(image.ravel(), PRINT.ravel())[0, 1] > 0.97
    assert header.image_size(io.BytesIO(data)) == (130, 150)


def test_an_interrupted_wsq_is_not_taken_for_the_next_one(monkeypatch):
    decoder, other = wsq_process.Decoder(), np.full((64, 80), 128, np.uint8)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(wsq_process.select, "select", interrupt)
        with pytest.raises(KeyboardInterrupt):
            decoder.decode(encode(other, "WSQ"))
    assert decoder.decode(encode(PRINT, "WSQ"))[0] == (130, 150)
    decoder.close()


def test_an_ended_wsq_process_is_replaced():
    decoder, data = wsq_process.Decoder(), encode(PRINT, "WSQ")
    expected, first = decoder.decode(data), decoder._process
    first.kill()
    first.wait()
    assert decoder.decode(data) == expected
    assert first.stdin.closed and first.stdout.closed
    decoder.close()


def test_sixteen_bits_are_scaled_by_the_stated_range():
    twelve = ((PRINT.astype(np.uint32) * 4095 + 127) // 255).astype(np.uint16)
    image = decode(encode_tiff(twelve, tag_281=4095), "x")
    assert np.abs(image.stored.astype(int) - PRINT).max() <= 1
    assert "16-bit grey, scaled to 8 bits by its range of 0 to 4095" in image.notes
    with pytest.raises(Fault, match=r"16-bit grey up to 40.., and states a range of 0 to 65535"):
        decode(encode_tiff(twelve), "x")


def strip_range(data):
    """First byte of the strips and the byte after them, of a TIFF by Pillow."""
    tags = Image.open(io.BytesIO(data)).tag_v2
    offsets, counts = tags[273], tags[279]
    return offsets[0], offsets[-1] + counts[-1]


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("damage", ["zeroed", "short"])
def test_damaged_strips_are_refused(compression, damage, capfd):
    """libtiff would leave the rest of the image black."""
    data = encode_tiff(PRINT, compression)
    start, end = strip_range(data)
    if damage == "zeroed":
        bad = zero_half(data, start, end)
    else:  # the count of bytes of the last strip is halved
        counts = Image.open(io.BytesIO(data)).tag_v2[279]
        at = data.rindex(struct.pack("<HHII", 279, 4, len(counts), counts[0])[:6])
        assert len(counts) == 1
        kind = struct.unpack_from("<H", data, at + 2)[0]
        layout = "<H" if kind == 3 else "<I"
        packed = bytearray(data)
        struct.pack_into(layout, packed, at + 8, counts[0] // 2)
        bad = bytes(packed)
    with pytest.raises(Fault, match=r"print.tif: is damaged: .*(strip or tile 1 of 1|JPEG)"):
        decode(bad, "print.tif")
    assert capfd.readouterr().err == ""


def short_png():
    """A PNG of half the pixels, with right checksums."""
    rows = b"".join(b"\0" + row.tobytes() for row in PRINT[:75])
    head = struct.pack(">II5B", 130, 150, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return PNG + b"".join(png_chunk(*part) for part in parts)


TILES = {322: [64], 323: [64], 324: [8], 325: [64 * 64]}


def vast_tile(compression):
    """A TIFF whose one tile states 4,294,967,295 px per side."""
    fields = FIELDS | TILES | {259: [compression], 322: [(1 << 32) - 1], 323: [(1 << 32) - 1]}
    return tiff(fields, zlib.compress(PRINT.tobytes()))


JPEG = encode(PRINT, "JPEG", quality=95)
DAMAGED = {
    "PNG with half the pixels": short_png(),
    "PGM with half the pixels": LOSSLESS["PGM"][: 150 * 65],
    "BMP with half the pixels": LOSSLESS["BMP"][:-9000],
    "JPEG cut off": JPEG[: len(JPEG) // 2],
    "JPEG cut off, with an end": JPEG[: len(JPEG) // 2] + JPEG[-2:],
    "JPEG with zeros": zero_half(JPEG, 700, len(JPEG) - 2),
    "JPEG 2000 cut off": LOSSLESS["JPEG 2000"][: len(LOSSLESS["JPEG 2000"]) // 2],
    "WSQ cut off": encode(PRINT, "WSQ")[:1500],
    "TIFF with a strip outside": tiff(FIELDS | {273: [800]}, PRINT.tobytes()),
    "BigTIFF with far values": big_tiff(tag_256=(4, 3, 1 << 63)),
    "BigTIFF with a far page": big_tiff()[:8] + struct.pack("<Q", 1 << 62) + big_tiff()[16:],
    "TIFF with a vast tile": vast_tile(1),
    "TIFF with a vast Deflate tile": vast_tile(8),
    "TIFF with too few strips": tiff(FIELDS | {278: [75], 279: [130 * 75]}, PRINT.tobytes()),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(name, capfd):
    with pytest.raises(Fault, match=r"print: is (damaged|truncated)"):
        decode(DAMAGED[name], "print")
    assert capfd.readouterr().err == ""


def test_stated_tiles_take_no_memory():
    data = tiff(FIELDS | TILES | {256: [8192], 257: [8192], 322: [1], 323: [1]}, PRINT.tobytes())
    tracemalloc.start()
    with pytest.raises(Fault, match="lists 1 strips or tiles; its size needs 67108864"):
        decode(data, "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("name", [name for name in DAMAGED if name.startswith("BigTIFF")])
def test_far_offsets_in_a_header_are_damage(tmp_path, name):
    (tmp_path / "x.tif").write_bytes(DAMAGED[name])
    with (tmp_path / "x.tif").open("rb") as file, pytest.raises(DamagedFile):
        header.image_size(file)


@pytest.mark.parametrize(
    ("compression", "name"), [(34712, "JPEG 2000"), (50000, "Zstandard"), (4, "CCITT"), (77, "unk")]
)
def test_other_compressions_of_tiff_are_named(compression, name):
    data = tiff(FIELDS | {259: [compression]}, PRINT.tobytes())
    with pytest.raises(Fault, match=rf"is a TIFF of compression {compression} \({name}.*convert"):
        decode(data, "x")


FOREIGN = {
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 145624\n",
    "ANSI/NIST-ITL container; .*an2ktool": b"1.001:215\x1d1.002:0300\x1d1.003:1",
    "ISO/IEC 19794 record": b"FMR\0 20\0",
    "web page": b"<!DOCTYPE html><html>404</html>",
    "archive": b"PK\x03\x04" + bytes(40),
    "PDF": b"%PDF-1.7",
    "HEIC": b"\0\0\0\x18ftypheic" + bytes(40),
    "HEIC or": b"\0\0\0\nftypheic" + bytes(40),  # a length of 10 is a line feed
    "WebP": b"RIFF\n\n\n\nWEBP",
    "expected PNG, TIFF, BMP, JPEG, JPEG 2000, WSQ or PGM": b"anything else",
}


@pytest.mark.parametrize("words", FOREIGN)
def test_other_files_are_named(words):
    with pytest.raises(Fault, match=f"x: .*{words}"):
        decode(FOREIGN[words], "x")


def test_raw_files():
    assert np.array_equal(decode(PRINT.tobytes(), "x", (130, 150)).stored, PRINT)
    with pytest.raises(Fault, match="x: has 19500 bytes; a raw image of 130×151 px has 19630"):
        decode(PRINT.tobytes(), "x", (130, 151))
    assert np.array_equal(decode(LOSSLESS["PNG"], "x", (130, 151)).stored, PRINT)
    assert parse_raw_size("388x374") == (388, 374)
    with pytest.raises(Misuse, match="no size of an image"):
        parse_raw_size("388")


def two_pages(first, second):
    file = io.BytesIO()
    Image.fromarray(first).save(
        file, "TIFF", save_all=True, append_images=[Image.fromarray(second)]
    )
    return file.getvalue()


def test_the_largest_page_is_read_and_named():
    image = decode(two_pages(PRINT[::2, ::2], PRINT), "x")
    assert np.array_equal(image.stored, PRINT)
    assert image.notes == ("page 2 of 2, the largest",)
    image = decode(two_pages(PRINT, 255 - PRINT), "x")
    assert np.array_equal(image.stored, PRINT)
    assert image.notes == ("page 1 of 2, the first of the largest",)


def test_pages_in_a_loop_end():
    data = bytearray(encode_tiff(PRINT))
    (offset,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, offset)
    struct.pack_into("<I", data, offset + 2 + 12 * count, offset)
    with pytest.raises(Fault, match="pages form a loop"):
        decode(bytes(data), "x")


ORIENTED = {
    "PNG": lambda number: png_with([png_chunk(b"eXIf", exif(number))]),
    "TIFF": lambda number: encode_tiff(PRINT, tag_274=number),
    "TIFF of tiles": lambda number: tiled_tiff(PRINT, 64, number),
    "TIFF, LZW": lambda number: encode_tiff(PRINT, "tiff_lzw", tag_274=number),
    "JPEG": lambda number: jpeg_with_exif(exif(number)),
}


@pytest.mark.parametrize("kind", ORIENTED)
@pytest.mark.parametrize("number", range(2, 9))
def test_one_rule_for_orientation_tags(kind, number):
    """The pixels as stored do not depend on the tag, and the upright ones are those of Pillow."""
    image = decode(ORIENTED[kind](number), "x")
    plain = decode(ORIENTED[kind](1), "x")
    assert np.array_equal(image.stored, plain.stored)
    assert image.orientation == number
    assert image.notes == (f"orientation tag {number}, processed upright",)
    transpose = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }[number]
    shown = np.asarray(Image.fromarray(plain.stored).transpose(transpose))
    assert np.array_equal(image.upright, shown)


@pytest.mark.parametrize(
    "data",
    [
        b"II*\0" + bytes(4),
        exif(6)[:12],
        exif(6).replace(struct.pack("<HI", 3, 1), struct.pack("<HI", 2, 1)),
        exif(6).replace(struct.pack("<HI", 3, 1), struct.pack("<HI", 3, 999)),
    ],
    ids=["no directory", "cut off", "a text", "outside"],
)
def test_damaged_exif_data_count_as_none(data):
    for kind in (png_with([png_chunk(b"eXIf", data)]), jpeg_with_exif(data)):
        assert decode(kind, "x").orientation == 1
        with pytest.raises(header.UnknownResolution):
            header.image_resolution(io.BytesIO(kind))


@pytest.mark.parametrize("number", range(1, 9))
def test_positions_lead_back_to_the_pixels_as_stored(number):
    image = decode(png_with([png_chunk(b"eXIf", exif(number))]), "x")
    x, y = 17, 40
    stored_x, stored_y = apply_affine(image.to_stored, np.array([[x, y]], float))[0]
    assert image.upright[y, x] == image.stored[int(stored_y), int(stored_x)]
    coordinates = np.stack(np.mgrid[: image.upright.shape[0], : image.upright.shape[1]][::-1], -1)
    back = orientation.as_stored(coordinates, number)
    assert tuple(back[int(stored_y), int(stored_x)]) == (x, y)


def test_prepared_image_leads_to_the_pixels_as_stored():
    whole = ridges(300, 260)[0]
    image = decode(png_with([png_chunk(b"eXIf", exif(6))], whole), "x")
    prepared = preprocess.prepare_file(image, 1000.0, "x")
    assert prepared.image.shape == (130, 150)
    first, last = apply_affine(prepared.to_original, np.array([[-0.5, -0.5], [149.5, 129.5]]))
    assert np.allclose(first, [-0.5, 299.5])  # the upper left corner was the lower left one
    assert np.allclose(last, [259.5, -0.5])


RESOLUTIONS = {
    "JFIF density, px per inch": encode(PRINT, "JPEG", dpi=(1000, 1000)),
    "pHYs, px per metre": encode(PRINT, "PNG", dpi=(1000, 1000)),
    "TIFF XResolution, px per inch": encode(PRINT, "TIFF", dpi=(1000, 1000)),
    "BMP header, px per metre": encode(PRINT, "BMP", dpi=(1000, 1000)),
    "WSQ comment PPI": encode(PRINT, "WSQ").replace(b"PPI 500\n", b"PPI 999\n"),
}


@pytest.mark.parametrize("tag", RESOLUTIONS)
def test_stated_resolution_names_its_tag(tag):
    x, y, name = header.image_resolution(io.BytesIO(RESOLUTIONS[tag]))
    expected = 999 if tag.startswith("WSQ") else 1000  # a number of equal length
    assert (round(x), round(y), name) == (expected, expected, tag)


def test_a_jpeg_segment_of_no_length_is_damage(tmp_path):
    (tmp_path / "x.jpg").write_bytes(JPEG[:2] + b"\xff\xe1\0\0" + JPEG[2:])
    with (tmp_path / "x.jpg").open("rb") as file, pytest.raises(header.UnknownResolution):
        header.image_resolution(file)


@pytest.mark.parametrize("kind", ["JPEG", "PPM", "JPEG2000", "PNG", "TIFF"])
def test_no_resolution_is_invented(kind):
    with pytest.raises(header.UnknownResolution, match="its resolution is unknown"):
        header.image_resolution(io.BytesIO(encode(PRINT, kind)))
