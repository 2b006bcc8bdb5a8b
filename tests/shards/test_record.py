"""Records: encode and decode are inverse, and every kind of damage is reported."""

import dataclasses
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pairs import make_pairs

from shards.foundation.errors import Fault
from shards.record import VERSION, Pair, decode, encode, kind_and_noise, person_of_finger

PAIR = make_pairs(1, 5, size=16, grid=4)[0]
RECORD = encode(PAIR)


def equal_values(x, y) -> bool:
    if isinstance(x, np.ndarray):
        return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
    return x == y


def equal_pairs(a: Pair, b: Pair) -> bool:
    names = [field.name for field in dataclasses.fields(Pair)]
    return all(equal_values(getattr(a, name), getattr(b, name)) for name in names)


def with_valid_checksum(data: bytes) -> bytes:
    return data[:4] + zlib.crc32(data[8:]).to_bytes(4, "little") + data[8:]


def test_decode_is_the_inverse_of_encode():
    for pair in make_pairs(8, 1):
        data = encode(pair)
        assert equal_pairs(decode(data), pair)
        assert encode(decode(data)) == data
        assert kind_and_noise(data) == (pair.kind, pair.noise)


@given(st.text(max_size=50), st.integers(0, 2**64 - 1))
def test_any_text_and_number_is_kept(text, number):
    text = text.encode(errors="ignore").decode()
    pair = dataclasses.replace(PAIR, finger_a=text, image_id_b=text, seed=number, index=number)
    assert equal_pairs(decode(encode(pair)), pair)


def test_decoded_arrays_are_aligned_and_read_only():
    pair = decode(RECORD)
    assert pair.map_ab.flags.aligned and pair.to_original_b.flags.aligned
    for array in (pair.image_a, pair.map_ab, pair.visible, pair.to_original_a):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_every_flipped_bit_is_a_fault():
    for bit in range(8 * len(RECORD)):
        damaged = bytearray(RECORD)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Fault):
            decode(bytes(damaged))


def test_every_truncation_is_a_fault():
    for length in range(len(RECORD)):
        with pytest.raises(Fault):
            decode(RECORD[:length])
    with pytest.raises(Fault):
        decode(RECORD + b"\0")


@given(st.binary(max_size=300))
def test_random_bytes_are_a_fault(data):
    with pytest.raises(Fault):
        decode(data)


@given(st.integers(8, len(RECORD) - 1), st.binary(min_size=1, max_size=30))
def test_damage_with_a_valid_checksum_is_a_fault_or_a_consistent_record(start, patch):
    data = with_valid_checksum(
        (RECORD[:start] + patch + RECORD[start + len(patch) :])[: len(RECORD)]
    )
    try:
        pair = decode(data)
    except Fault:
        return
    assert pair.visible.tobytes().strip(b"\0\1") == b""
    again = encode(pair)
    assert again[8:26] == data[8:26] and again[32:] == data[32:]  # 26..32 is padding


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"X", "begins with"),
        (8, b"\x09", "version 9"),
        (10, b"\x07", "kind 7"),
        (12, b"\0\0", "empty array"),
        (18, b"\xff", "by its header"),
        (len(RECORD) - 1, b"\xff", "not UTF-8 in image_id_b"),
    ],
)
def test_each_fault_has_its_message(offset, value, message):
    damaged = RECORD[:offset] + value + RECORD[offset + len(value) :]
    with pytest.raises(Fault, match=message):
        decode(with_valid_checksum(damaged))


def test_the_version_is_stored():
    assert int.from_bytes(RECORD[8:10], "little") == VERSION


@pytest.mark.parametrize(
    "changes",
    [
        {"image_b": np.zeros((16, 15), np.uint8)},
        {"map_ab": np.zeros((4, 4, 2), np.float64)},
        {"visible": np.zeros((4, 4), np.uint8)},
        {"kind": "friendly"},
        {"seed": -1},
        {"finger_a": "x" * 70_000},
    ],
)
def test_a_pair_that_does_not_fit_a_record_is_refused(changes):
    with pytest.raises(ValueError):
        encode(dataclasses.replace(PAIR, **changes))


def test_person_of_a_finger():
    assert person_of_finger("nist/00002303/07") == "nist/00002303"
    assert person_of_finger("fvc2002/db1/101") == "fvc2002/db1/101"
    assert person_of_finger("folder/lab/ann/07") == "folder/lab/ann"
    assert person_of_finger("folder/lab/07") == "folder/lab/07"


def test_the_documented_layout_can_be_read_with_struct_and_numpy():
    kind, noise, h, w, g = struct.unpack_from("<BBHHH", RECORD, 10)
    map_ab = np.frombuffer(RECORD, "<f4", 2 * g * g, 144).reshape(g, g, 2)
    image_a = np.frombuffer(RECORD, np.uint8, h * w, 144 + 8 * g * g).reshape(h, w)
    assert (kind, noise) == (0, 1)
    assert np.array_equal(map_ab, PAIR.map_ab, equal_nan=True)
    assert np.array_equal(image_a, PAIR.image_a)
