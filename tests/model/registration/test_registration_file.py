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
    ],
)
def test_other_arrays_are_refused(tmp_path, changed, message):
    with pytest.raises(Fault, match=message):
        registration_file.load(write(tmp_path / "r.npz", **changed))


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
    limits = registration_file.RegistrationFileParameters(largest=1_000_000)
    with pytest.raises(Fault, match="unpacks to 50,000,000 bytes"):
        registration_file.load(tmp_path / "bomb.npz", limits)
