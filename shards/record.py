"""A record: the bytes of one pair of images with the known correspondence between them.

A record is a header of 48 bytes, then raw little-endian arrays, then text:

    offset  type   field
    0       4s     magic "DREG"
    4       u32    CRC-32 of all bytes from offset 8 to the end
    8       u16    VERSION of this table
    10      u8     kind, index into KINDS
    11      u8     noise, index into NOISES
    12      3 u16  H, W, G
    18      4 u16  number of bytes of finger_a, finger_b, image_id_a, image_id_b in UTF-8
    26      6 x    zero
    32      u64    seed
    40      u64    index
    48      float64 [2, 3]     to_original_a
    96      float64 [2, 3]     to_original_b
    144     float32 [G, G, 2]  map_ab
    …       uint8   [H, W]     image_a
    …       uint8   [H, W]     image_b
    …       uint8   [G, G]     visible, 0 or 1
    …       text               finger_a, finger_b, image_id_a, image_id_b

The arrays are in the order of their alignment, so that a reader can use them without a copy.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shards.foundation.errors import Fault

KINDS = ("genuine", "genuine-impressions", "impostor")
NOISES = ("none", "sensor", "dryness", "pressure")
# Data set → number of the parts of a finger's identity after it, where the last but one is a person
PARTS_WITH_PERSON = {
    **dict.fromkeys(("nist", "socofing", "sd14", "molf", "neurotechnology"), 2),
    "folder": 3,
}
TEXT_FIELDS = ("finger_a", "finger_b", "image_id_a", "image_id_b")
VERSION = 1
MAGIC = b"DREG"
HEADER = struct.Struct("<4sIHBBHHHHHHH6xQQ")
CHECKED_OFFSET = 8  # of the first byte that the checksum covers
AFFINE_BYTES = 6 * 8  # of one float64 [2, 3]
MAP_OFFSET = HEADER.size + 2 * AFFINE_BYTES


@dataclass(frozen=True, eq=False)
class Pair:
    """Two crops of one finger with ground truth, or of two fingers without.

    The grid has G × G cells with a stride of S = H // G px. The centre of the cell in row i and
    column j of image A is (x, y) = (S·j + (S - 1) / 2, S·i + (S - 1) / 2) px.

    Attributes:
        image_a: uint8 [H, W], dark ridges on light background.
        image_b: uint8 [H, W], the degraded image.
        map_ab: float32 [G, G, 2], position (x, y) in px of B of the centres of A's cells; NaN where
            not visible.
        visible: bool [G, G], whether a cell's centre is on the finger in A, and within the image
            and on the finger in B.
        kind: one of KINDS. "genuine": one image twice, the second one degraded;
            "genuine-impressions": two impressions of one finger; "impostor": two fingers.
        noise: one of NOISES, the degradation of B.
        finger_a: identity of the finger in A, such as "nist/00002303/07".
        finger_b: the same of B; equal to finger_a exactly in genuine pairs.
        image_id_a: identity of the image of A, such as "sd302/U/…".
        image_id_b: the same of B.
        to_original_a: float64 [2, 3], affine map from px of image A to px of its original file.
        to_original_b: float64 [2, 3], the same for B's crop before rotation and warp.
        seed: seed of the spec.
        index: number of the pair in its partition; seed, partition and index determine the pair.
    """

    image_a: NDArray[np.uint8]
    image_b: NDArray[np.uint8]
    map_ab: NDArray[np.float32]
    visible: NDArray[np.bool_]
    kind: str
    noise: str
    finger_a: str
    finger_b: str
    image_id_a: str
    image_id_b: str
    to_original_a: NDArray[np.float64]
    to_original_b: NDArray[np.float64]
    seed: int
    index: int

    @property
    def genuine(self) -> bool:
        """Whether both images show the same finger."""
        return self.kind != "impostor"


def encode(pair: Pair) -> bytes:
    """Convert a pair to a record.

    Raises:
        ValueError: an array has a wrong shape or dtype, or a value does not fit its field.
    """
    _check_arrays(pair)
    texts = [getattr(pair, name).encode() for name in TEXT_FIELDS]
    header = _encode_header(pair, [len(text) for text in texts])
    arrays = (
        pair.to_original_a,
        pair.to_original_b,
        pair.map_ab,
        pair.image_a,
        pair.image_b,
        pair.visible,
    )
    body = b"".join([header[CHECKED_OFFSET:], *(a.tobytes() for a in arrays), *texts])
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def decode(data: bytes) -> Pair:
    """Convert a record to its pair, whose arrays are read-only views of `data`.

    Raises:
        Fault: the record is damaged (length, magic, checksum, version, a code or a text).
    """
    kind, noise, height, width, cells, *lengths, seed, index = _decode_header(data)
    pixels, grid = height * width, cells * cells
    image_a_offset = MAP_OFFSET + 8 * grid
    image_b_offset = image_a_offset + pixels
    visible_offset = image_b_offset + pixels
    text_offset = visible_offset + grid
    expected = text_offset + sum(lengths)
    if len(data) != expected:
        raise Fault(f"has {len(data)} bytes, expected {expected} by its header")
    if data[visible_offset:text_offset].translate(None, b"\0\1"):
        raise Fault("has cells whose visible is neither 0 nor 1")
    return Pair(
        image_a=np.ndarray((height, width), np.uint8, data, image_a_offset),
        image_b=np.ndarray((height, width), np.uint8, data, image_b_offset),
        map_ab=np.ndarray((cells, cells, 2), "<f4", data, MAP_OFFSET),
        visible=np.ndarray((cells, cells), np.bool_, data, visible_offset),
        kind=KINDS[kind],
        noise=NOISES[noise],
        **_decode_texts(data[text_offset:], lengths),
        to_original_a=np.ndarray((2, 3), "<f8", data, HEADER.size),
        to_original_b=np.ndarray((2, 3), "<f8", data, HEADER.size + AFFINE_BYTES),
        seed=seed,
        index=index,
    )


def kind_and_noise(data: bytes) -> tuple[str, str]:
    """Read the kind and the noise of a record from its header.

    Raises:
        Fault: the record is damaged, by its header or its checksum.
    """
    kind, noise = _decode_header(data)[:2]
    return KINDS[kind], NOISES[noise]


def person_of_finger(finger: str) -> str:
    """Return the person of a finger's identity: splits are by person.

    "nist/00002303/07" gives "nist/00002303", and "folder/lab/ann/07" gives "folder/lab/ann". Where
    persons are not known (FVC, synthetic fingers, "folder/lab/07") each finger counts as its own.
    """
    data_set, *parts = finger.split("/")
    return finger.rpartition("/")[0] if len(parts) == PARTS_WITH_PERSON.get(data_set) else finger


def _check_arrays(pair: Pair) -> None:
    (height, width), cells = pair.image_a.shape, len(pair.visible)
    expected: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
        "image_a": ((height, width), np.uint8),
        "image_b": ((height, width), np.uint8),
        "map_ab": ((cells, cells, 2), np.float32),
        "visible": ((cells, cells), np.bool_),
        "to_original_a": ((2, 3), np.float64),
        "to_original_b": ((2, 3), np.float64),
    }
    for name, (shape, dtype) in expected.items():
        array = getattr(pair, name)
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(
                f"{name} is {array.dtype} {list(array.shape)},"
                f" expected {np.dtype(dtype)} {list(shape)}"
            )


def _encode_header(pair: Pair, lengths: list[int]) -> bytes:
    """Pack the header with a checksum of 0."""
    kind, noise = KINDS.index(pair.kind), NOISES.index(pair.noise)
    height, width = pair.image_a.shape
    numbers = (kind, noise, height, width, len(pair.visible), *lengths, pair.seed, pair.index)
    try:
        return HEADER.pack(MAGIC, 0, VERSION, *numbers)
    except struct.error as error:
        raise ValueError(f"a number does not fit the record's header: {error}") from error


def _decode_header(data: bytes) -> tuple[int, ...]:
    """Return the numbers of the header from kind to index; check magic, checksum and codes."""
    if len(data) < MAP_OFFSET:
        raise Fault(f"is cut off: {len(data)} bytes, a record has at least {MAP_OFFSET}")
    magic, crc, version, *numbers = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Fault(f"is not a record: begins with {magic!r}, expected {MAGIC!r}")
    if zlib.crc32(memoryview(data)[CHECKED_OFFSET:]) != crc:
        raise Fault("is damaged: its bytes do not match its checksum")
    if version != VERSION:
        raise Fault(f"has record version {version}, expected {VERSION}; build the set again")
    if numbers[0] >= len(KINDS) or numbers[1] >= len(NOISES):
        raise Fault(f"has kind {numbers[0]} and noise {numbers[1]}, which do not exist")
    if not all(numbers[2:5]):
        raise Fault(f"has an empty array: H, W, G = {numbers[2:5]}")
    return tuple(numbers)


def _decode_texts(data: bytes, lengths: list[int]) -> dict[str, str]:
    """Split the text at the end of a record into the values of TEXT_FIELDS."""
    texts, start = {}, 0
    for name, length in zip(TEXT_FIELDS, lengths, strict=True):
        part = data[start : start + length]
        try:
            texts[name] = part.decode()
        except UnicodeDecodeError as error:
            raise Fault(f"has text that is not UTF-8 in {name}: {part[:40]!r}") from error
        start += length
    return texts
