"""JSON in pieces is read as the json module reads it, and errors are raised."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.json_stream import Stream

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)  # fmt: skip


def stream_of(data, size):
    """Open a text that is read in pieces of `size` bytes."""
    pieces = iter([data[k : k + size] for k in range(0, len(data), size)])
    return Stream(lambda: next(pieces, b""))


@given(st.dictionaries(st.text(max_size=6), st.lists(JSON, max_size=4)), st.integers(1, 40))
def test_pieces_of_any_size_give_the_object_that_json_reads(value, size):
    """Numbers, escapes and characters of several bytes may be cut anywhere."""
    for indent, ascii_only in ((None, True), (1, False)):
        data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
        stream, members = stream_of(data, size), {}
        for key in stream.members():
            members[key] = [stream.value() for _ in stream.items()]
        stream.end()
        assert members == value


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', '{"a":{"b":1,"b":2}}', '{"a":1,}', '{"a" 1}', '{"a":1} {', '{"a":NaN}',
     '{"a":1e999}', '{"a":-Infinity}', '{1:1}', '{"a":1', "{", "[1]", "", '{"a":tru'],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 3, 100])
def test_invalid_json_raises(text, size):
    stream = stream_of(text.encode(), size)
    with pytest.raises(ValueError):
        [stream.value() for _ in stream.members()] and stream.end()
        stream.end()


def test_bytes_that_are_not_utf_8_raise():
    stream = stream_of(b'{"a":"\xff"}', 4)
    with pytest.raises(ValueError, match="utf-8"):
        [stream.value() for _ in stream.members()]


def test_memory_holds_one_piece_and_one_value_of_a_long_array():
    data = b"[" + b",".join(b'"%09d"' % k for k in range(100_000)) + b"]"
    stream = stream_of(data, 1000)
    longest = max((stream.value(), len(stream._text))[1] for _ in stream.items())
    stream.end()
    assert longest < 2100
