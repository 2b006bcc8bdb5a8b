import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pairs import make_pairs

from shards.foundation.errors import Fault
from shards.record import VERSION, Pair, decode, encode, kind_and_noise, person_of_finger

PAIR = make_pairs(1, 5, size=16, grid=4)[0]
RECORD = encode(PAIR)


def same(a: Pair, b: Pair) -> bool:
    pairs = ((getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Pair))
    return all(
        x.dtype == y.dtype and x.tobytes() == y.tobytes() and x.shape == y.shape
        if isinstance(x, np.ndarray)
        else x == y
        for x, y in pairs
    )


def reseal(data: bytes) -> bytes:
    """The record with its checksum made right again."""
    import zlib

    return data[:4] + zlib.crc32(data[8:]).to_bytes(4, "little") + data[8:]


def test_decode_gives_back_what_was_encoded():
    for pair in make_pairs(8, 1):
        data = encode(pair)
        assert same(decode(data), pair)
        assert encode(decode(data)) == data
        assert kind_and_noise(data) == (pair.kind, pair.noise)


@given(st.text(max_size=50), st.integers(0, 2**64 - 1))
def test_any_text_and_number_survives(text, number):
    text = text.encode(errors="ignore").decode()
    pair = dataclasses.replace(PAIR, finger_a=text, image_id_b=text, seed=number, index=number)
    assert same(decode(encode(pair)), pair)


def test_decoded_arrays_are_aligned_views_that_cannot_be_written():
    pair = decode(RECORD)
    assert pair.map_ab.flags.aligned and pair.to_original_b.flags.aligned
    for array in (pair.image_a, pair.map_ab, pair.visible, pair.to_original_a):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_every_flipped_bit_is_found():
    for bit in range(8 * len(RECORD)):
        damaged = bytearray(RECORD)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Fault):
            decode(bytes(damaged))


def test_every_truncation_is_found():
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
def test_damage_under_a_right_checksum_is_a_fault_or_a_record_that_says_what_it_holds(at, patch):
    data = reseal((RECORD[:at] + patch + RECORD[at + len(patch) :])[: len(RECORD)])
    try:
        pair = decode(data)
    except Fault:
        return
    assert pair.visible.tobytes().strip(b"\0\1") == b""
    again = encode(pair)
    assert again[8:26] == data[8:26] and again[32:] == data[32:]  # 26..32 is padding


@pytest.mark.parametrize(
    ("at", "value", "what"),
    [
        (0, b"X", "begins with"),
        (8, b"\x09", "version 9"),
        (10, b"\x07", "kind 7"),
        (12, b"\0\0", "empty array"),
        (18, b"\xff", "header tells"),
        (len(RECORD) - 1, b"\xff", "no UTF-8"),
    ],
)
def test_each_fault_is_named(at, value, what):
    with pytest.raises(Fault, match=what):
        decode(reseal(RECORD[:at] + value + RECORD[at + len(value) :]))


def test_version_is_in_the_bytes():
    assert int.from_bytes(RECORD[8:10], "little") == VERSION


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_b": np.zeros((16, 15), np.uint8)},
        {"map_ab": np.zeros((4, 4, 2), np.float64)},
        {"visible": np.zeros((4, 4), np.uint8)},
        {"kind": "friendly"},
        {"seed": -1},
        {"finger_a": "x" * 70_000},
    ],
)
def test_a_pair_that_no_record_can_hold_is_refused(wrong):
    with pytest.raises(ValueError):
        encode(dataclasses.replace(PAIR, **wrong))


def test_a_nist_finger_belongs_to_its_person_and_another_to_itself():
    assert person_of_finger("nist/00002303/07") == "nist/00002303"
    assert person_of_finger("fvc2002/db1/101") == "fvc2002/db1/101"


def test_the_documented_layout_reads_with_struct_and_numpy_alone():
    import struct

    kind, noise, h, w, g = struct.unpack_from("<BBHHH", RECORD, 10)
    map_ab = np.frombuffer(RECORD, "<f4", 2 * g * g, 144).reshape(g, g, 2)
    image_a = np.frombuffer(RECORD, np.uint8, h * w, 144 + 8 * g * g).reshape(h, w)
    assert (kind, noise) == (0, 1)
    assert np.array_equal(map_ab, PAIR.map_ab, equal_nan=True)
    assert np.array_equal(image_a, PAIR.image_a)
