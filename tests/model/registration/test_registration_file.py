"""Files of registrations: what is read, and what is refused."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest

from model.registration import registration_file
from model.registration.result import Registration
from pipeline.imaging.resolution import ImageResolution
from shards.foundation.errors import Fault, Misuse
from shards.foundation.npz_file import NpzParameters

SHAPE = (40, 30)


def example():
    map_ab = np.random.default_rng(0).normal(size=(*SHAPE, 2)).astype(np.float32)
    map_ab[:5] = np.nan
    resolutions = ImageResolution(500.0, "tag: pHYs"), ImageResolution(1000.0, "option")
    matches = np.full((7, 5), 0.5, np.float32)
    sigma = np.where(np.isfinite(map_ab[..., 0]), np.float32(0.7), np.float32(np.nan))
    return Registration(map_ab, 0.25, matches, 0.3, resolutions, (50, 60), True, False, sigma=sigma)


def test_everything_is_read_again(tmp_path):
    registration = example()
    registration.save(tmp_path / "r.npz")
    loaded = registration_file.load(tmp_path / "r.npz")
    np.testing.assert_array_equal(loaded.map_ab, registration.map_ab)
    np.testing.assert_array_equal(loaded.matches, registration.matches)
    np.testing.assert_array_equal(loaded.sigma, registration.sigma)
    assert loaded.angle == pytest.approx(registration.angle)
    for name in ("score", "resolutions", "shape_b", "opposite_polarity", "calibrated"):
        assert getattr(loaded, name) == getattr(registration, name)


def test_a_network_that_states_no_uncertainty_has_none_in_the_file(tmp_path):
    dataclasses.replace(example(), sigma=None).save(tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as arrays:
        assert arrays["sigma"].shape == SHAPE and np.isnan(arrays["sigma"]).all()
    assert registration_file.load(tmp_path / "r.npz").sigma is None


def write(path, **changed):
    """Write the example's arrays with some of them changed, or left out by None."""
    arrays = {k: v for k, v in {**example()._arrays(), **changed}.items() if v is not None}
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape_b": None}, "holds no array shape_b, as of another version; register again"),
        ({"map_ab": np.zeros((4, 4))}, r"map_ab is float64 \[4, 4\]; expected"),
        ({"map_ab": np.zeros((4, 4, 2), np.int32)}, "map_ab is int32"),
        ({"matches": np.zeros((3, 4), np.float32)}, "matches is"),
        ({"score": np.array("high")}, "score is"),
        ({"sigma": None}, "holds no array sigma, as of another version; register again"),
        ({"sigma": np.zeros((4, 4), np.float32)}, r"sigma is \[4, 4\]; expected \[40, 30\]"),
        ({"shape_b": np.array([0, 10])}, "expected the size of an image"),
        ({"shape_b": np.array([10**6, 10])}, "expected the size of an image"),
        ({"ppi_a_source": np.array(["x"], object)}, "cannot be read"),  # a pickle
        ({"map_ab": np.zeros((0, 4, 2)), "sigma": np.zeros((0, 4))}, r"map_ab is \[0, 4\]"),
        ({"ppi_a": 0.0}, "ppi_a is 0; expected"),
        ({"ppi_b": np.nan}, "ppi_b is nan; expected"),
        ({"score": np.nan}, "score is nan; expected a probability"),
        ({"score": 2.0}, r"score is 2\.0; expected a probability"),
    ],
)
def test_other_arrays_are_refused(tmp_path, changed, message):
    with pytest.raises(Fault, match=message):
        registration_file.load(write(tmp_path / "r.npz", **changed))


def test_positions_that_are_incomplete_or_in_no_image_are_none(tmp_path):
    map_ab = example().map_ab
    map_ab[10, 10, 1], map_ab[11, 11, 0], map_ab[12, 12, 1] = np.nan, np.inf, -1e9
    path = write(tmp_path / "r.npz", map_ab=map_ab)
    for loaded in (registration_file.load(path).map_ab, registration_file.load_map(path)[0]):
        assert all(np.isnan(loaded[k, k]).all() for k in (10, 11, 12))
        assert np.isfinite(loaded[13:]).all()


def test_a_map_of_another_tool_needs_no_other_array(tmp_path):
    """Arrays that are not read may be anything, even a pickle."""
    map_ab, matches = np.zeros((9, 8, 2), np.float32), np.array([{}])
    np.savez(tmp_path / "m.npz", map_ab=map_ab, score=17.0, matches=matches)
    assert registration_file.load_map(tmp_path / "m.npz")[1] == 17


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1" + 30 * "0" + ",)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,",
        "{'descr': '<f4', 1: False, 'shape': (3,)}",
    ],
)
def test_headers_that_no_array_has_are_refused(tmp_path, header):
    text = header.encode().ljust(118) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(12)
    with zipfile.ZipFile(tmp_path / "r.npz", "w") as members:
        members.writestr("map_ab.npy", array)
    with pytest.raises(Fault, match=r"r\.npz: cannot be read"):
        registration_file.load(tmp_path / "r.npz")


def test_damaged_files_are_refused(tmp_path):
    path = write(tmp_path / "r.npz")
    data = path.read_bytes()
    for damaged in (b"", b"PK", data[: len(data) // 2], data[:-200], b"\x93NUMPY" + data):
        path.write_bytes(damaged)
        with pytest.raises(Fault, match=r"r\.npz: cannot be read"):
            registration_file.load(path)
    with pytest.raises(Misuse, match="no such registration"):
        registration_file.load(tmp_path / "none.npz")


def test_no_changed_byte_raises_anything_else(tmp_path):
    path = write(tmp_path / "r.npz")
    data = path.read_bytes()
    rng = np.random.default_rng(1)
    for position in rng.integers(len(data), size=300):
        changed = bytearray(data)
        changed[position] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            registration_file.load(path)
        except Fault as fault:
            assert "r.npz" in str(fault)


def test_a_file_that_unpacks_to_gigabytes_is_refused(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("map_ab.npy", bytes(50_000_000))
    (tmp_path / "bomb.npz").write_bytes(packed.getvalue())
    limits = NpzParameters(largest=1_000_000)
    with pytest.raises(Fault, match="unpacks to 50,000,000 bytes"):
        registration_file.load(tmp_path / "bomb.npz", limits)
