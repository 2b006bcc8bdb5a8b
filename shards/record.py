"""One record: a pair of images with the true correspondence between them, and its bytes.

A record is a header of 48 bytes, then raw little-endian arrays, then text:

    offset  type   field
    0       4s     magic "DREG"
    4       u32    CRC-32 of everything from offset 8 to the end
    8       u16    VERSION of this table
    10      u8     kind, index into KINDS
    11      u8     noise, index into NOISES
    12      3 u16  H, W, G
    18      4 u16  bytes of finger_a, finger_b, image_id_a, image_id_b in UTF-8
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

The arrays stand in the order of their alignment, so that a reader may view them in place.
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
VERSION = 1
MAGIC = b"DREG"
HEADER = struct.Struct("<4sIHBBHHHHHHH6xQQ")
_MAP_AT = HEADER.size + 12 * 8


@dataclass(frozen=True, eq=False)
class Pair:
    """Two crops of one finger with ground truth, or of two fingers without.

    G cells a side, of stride S = H // G px; the centre of cell (row i, column j) of image A lies at
    (x, y) = (S·j + (S - 1) / 2, S·i + (S - 1) / 2).
    """

    image_a: NDArray[np.uint8]  # [H, W], dark ridges on a light ground
    image_b: NDArray[np.uint8]  # [H, W], the corrupted one
    map_ab: NDArray[
        np.float32
    ]  # [G, G, 2], (x, y) px in B of A's cell centres; NaN where not visible
    visible: NDArray[np.bool_]  # [G, G], both ends in view and on the finger
    kind: str  # of KINDS
    noise: str  # of NOISES: what corrupted B
    finger_a: str  # identities: equal exactly when the pair is genuine
    finger_b: str
    image_id_a: str
    image_id_b: str
    to_original_a: NDArray[np.float64]  # [2, 3], px of image A → px of its original file
    to_original_b: NDArray[
        np.float64
    ]  # [2, 3], the same for the crop of B before rotation and warp
    seed: int  # the spec's seed and the pair's number in its partition are the address
    index: int  # from which the pair can be made again

    @property
    def genuine(self) -> bool:
        """True where both images show the same finger."""
        return self.kind != "impostor"


def encode(pair: Pair) -> bytes:
    """The record of `pair`; ValueError where a shape, a type or a value cannot be held."""
    (height, width), cells = pair.image_a.shape, len(pair.visible)
    _expect("image_a", pair.image_a, (height, width), np.uint8)
    _expect("image_b", pair.image_b, (height, width), np.uint8)
    _expect("map_ab", pair.map_ab, (cells, cells, 2), np.float32)
    _expect("visible", pair.visible, (cells, cells), np.bool_)
    _expect("to_original_a", pair.to_original_a, (2, 3), np.float64)
    _expect("to_original_b", pair.to_original_b, (2, 3), np.float64)
    ids = (pair.finger_a, pair.finger_b, pair.image_id_a, pair.image_id_b)
    texts = [text.encode() for text in ids]
    kind, noise = KINDS.index(pair.kind), NOISES.index(pair.noise)
    try:
        numbers = (kind, noise, height, width, cells, *map(len, texts), pair.seed, pair.index)
        header = HEADER.pack(MAGIC, 0, VERSION, *numbers)
    except struct.error as error:
        raise ValueError(f"a number does not fit the record's header: {error}") from error
    arrays = (pair.to_original_a, pair.to_original_b, pair.map_ab, pair.image_a, pair.image_b)
    body = b"".join([header[8:], *(a.tobytes() for a in (*arrays, pair.visible)), *texts])
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def decode(data: bytes) -> Pair:
    """The pair of a record; its arrays are read-only views of `data`.

    Fault that says what is wrong for every damaged record: too short or too long, another magic,
    checksum or VERSION, a code or a text that cannot be.
    """
    kind, noise, height, width, cells, *lengths, seed, index = _header(data)
    pixels, grid = height * width, cells * cells
    expected = _MAP_AT + 8 * grid + 2 * pixels + grid + sum(lengths)
    if len(data) != expected:
        raise Fault(f"has {len(data)} bytes where its header tells of {expected}")
    a_at = _MAP_AT + 8 * grid
    b_at, visible_at = a_at + pixels, a_at + 2 * pixels
    ids_at = visible_at + grid
    if data[visible_at:ids_at].translate(None, b"\0\1"):
        raise Fault("has cells whose visible is neither 0 nor 1")
    return Pair(
        image_a=np.ndarray((height, width), np.uint8, data, a_at),
        image_b=np.ndarray((height, width), np.uint8, data, b_at),
        map_ab=np.ndarray((cells, cells, 2), "<f4", data, _MAP_AT),
        visible=np.ndarray((cells, cells), np.bool_, data, visible_at),
        kind=KINDS[kind],
        noise=NOISES[noise],
        **_texts(data[ids_at:], lengths),
        to_original_a=np.ndarray((2, 3), "<f8", data, HEADER.size),
        to_original_b=np.ndarray((2, 3), "<f8", data, HEADER.size + 48),
        seed=seed,
        index=index,
    )


def kind_and_noise(data: bytes) -> tuple[str, str]:
    """(kind, noise) of a record, from its header alone; Fault where the record is damaged."""
    kind, noise = _header(data)[:2]
    return KINDS[kind], NOISES[noise]


def person_of_finger(finger: str) -> str:
    """The person of a finger's identity, which the splits go by.

    "nist/00002303/07" → "nist/00002303". Elsewhere (FVC, synthetic) a finger is its own person.
    """
    return finger.rpartition("/")[0] if finger.startswith("nist/") else finger


def _header(data: bytes) -> tuple[int, ...]:
    """The numbers of the header after VERSION, once magic, checksum, VERSION and codes hold."""
    if len(data) < _MAP_AT:
        raise Fault(f"is cut short: {len(data)} bytes, a record has at least {_MAP_AT}")
    magic, crc, version, *numbers = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Fault(f"is no record: begins with {magic!r}, expected {MAGIC!r}")
    if zlib.crc32(memoryview(data)[8:]) != crc:
        raise Fault("is damaged: its bytes do not have the checksum that it carries")
    if version != VERSION:
        raise Fault(
            f"has record version {version}, this program reads {VERSION}; build the set again"
        )
    if numbers[0] >= len(KINDS) or numbers[1] >= len(NOISES):
        raise Fault(f"has kind {numbers[0]} and noise {numbers[1]}, which do not exist")
    if not all(numbers[2:5]):
        raise Fault(f"has an empty array: H, W, G = {numbers[2:5]}")
    return tuple(numbers)


def _texts(data: bytes, lengths: list[int]) -> dict[str, str]:
    texts, at = [], 0
    try:
        for length in lengths:
            texts.append(data[at : at + length].decode())
            at += length
    except UnicodeDecodeError as error:
        raise Fault(f"has an id that is no UTF-8: {data[at : at + 40]!r}") from error
    return dict(zip(("finger_a", "finger_b", "image_id_a", "image_id_b"), texts, strict=True))


def _expect(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} is {array.dtype} {list(array.shape)}, expected {np.dtype(dtype)} {list(shape)}"
        )
