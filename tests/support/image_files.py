"""Image files of all formats, for tests."""

import io
import struct
import zlib

import wsq  # noqa: F401  (registers itself with Pillow)
from PIL import Image


def encode(pixels, kind, **options):
    """Encode an array by Pillow to the bytes of a file of its format `kind`."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def encode_tiff(pixels, compression="raw", **tags):
    """Encode an array to a TIFF; `tags` are of the form tag_274=6."""
    numbers = {int(name.removeprefix("tag_")): value for name, value in tags.items()}
    return encode(pixels, "TIFF", compression=compression, tiffinfo=numbers)


def tiff(fields, content, byte_order="<"):
    """A TIFF of one page: `fields` are tag → integers, and `content` follows the header."""
    offset = 8 + len(content) + len(content) % 2
    entries, values = b"", b""
    values_offset = offset + 2 + 12 * len(fields) + 4
    for tag in sorted(fields):
        numbers = fields[tag]
        packed = struct.pack(f"{byte_order}{len(numbers)}I", *numbers)
        value = packed
        if len(packed) > 4:
            value = struct.pack(byte_order + "I", values_offset + len(values))
            values += packed
        entries += struct.pack(byte_order + "HHI", tag, 4, len(numbers)) + value
    head = (b"II*\0" if byte_order == "<" else b"MM\0*") + struct.pack(byte_order + "I", offset)
    directory = struct.pack(byte_order + "H", len(fields)) + entries + bytes(4)
    return head + content + bytes(len(content) % 2) + directory + values


def tiled_tiff(pixels, side, orientation):
    """A TIFF in uncompressed tiles of side×side px with an orientation tag."""
    height, width = pixels.shape
    tiles, offsets = b"", []
    for top in range(0, height, side):
        for left in range(0, width, side):
            offsets.append(8 + len(tiles))
            tile = bytearray(side * side)
            for row, line in enumerate(pixels[top : top + side, left : left + side]):
                tile[row * side : row * side + len(line)] = line.tobytes()
            tiles += bytes(tile)
    fields = {
        256: [width],
        257: [height],
        258: [8],
        259: [1],
        262: [1],
        274: [orientation],
        277: [1],
        322: [side],
        323: [side],
        324: offsets,
        325: [side * side] * len(offsets),
    }
    return tiff(fields, tiles)


def png_chunk(kind, body):
    """A chunk of a PNG with its checksum."""
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def exif(orientation):
    """Exif data whose only field is the orientation."""
    return b"II*\0" + struct.pack("<IHHHIII", 8, 1, 274, 3, 1, orientation, 0)


def zero_half(data, start, end):
    """Overwrite the second half of data[start:end] with zeros."""
    middle = (start + end) // 2
    return data[:middle] + bytes(end - middle) + data[end:]
