"""The library: the same numbers as the command, on files and on arrays; its errors; its cost."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from prints import ridges

import model.__main__
from model import SHIPPED
from model.registration.calibration import THRESHOLD
from pipeline.imaging.warp import pixel_grid
from pipeline.synthesis.generate import synthesize_impression, synthesize_master
from pipeline.synthesis.sensor import OPTICAL
from shards.foundation import extras
from train import densereg

ROOT = Path(__file__).parents[2]
# What Windows and macOS do not have of Linux, as far as the project uses it on some way
WITHOUT_LINUX = """
import os, signal, sys
import cv2, jax, jinja2, matplotlib.figure, numpy, tqdm  # they know on which system they are
from flax import nnx
for name in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[name] = None
for module, names in {
    os: ("sched_getaffinity", "O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY", "uname"),
    signal: ("sigwaitinfo", "pthread_sigmask", "SIGKILL", "SIGHUP"),
}.items():
    for name in names:
        vars(module).pop(name, None)
import model.__main__
model.__main__.main()
"""
# Of a resolution that the caller states
CONTRADICTION = r".*contradicts it\): expected 5\.5 to 12\.5 px at 500 ppi; check it$"
HEAVY = ("jax", "cv2", "matplotlib", "numpy", "flax", "scipy", "PIL", "click")


@pytest.fixture(scope="module")
def impressions():
    """Two impressions of one finger and one of another, all at 500 ppi."""
    masters = [synthesize_master(3, "library", finger) for finger in range(2)]
    return [
        synthesize_impression(masters[finger], 3, "library", finger, k, (OPTICAL,))
        for finger, k in ((0, 0), (0, 1), (1, 0))
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, impressions):
    folder = tmp_path_factory.mktemp("images")
    for name, impression in zip("abc", impressions, strict=True):
        cv2.imwrite(str(folder / f"{name}.png"), impression.image)
    return folder


@pytest.fixture(scope="module")
def pair(folder):
    return densereg.register(folder / "a.png", str(folder / "b.png"), 500, 500)


def test_importing_is_light():
    """Nothing heavy is loaded: numpy alone takes 0.1 s, jax several."""
    code = f"import sys, train.densereg; sys.exit(str(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "set()\n"


def test_result_is_that_of_the_command(folder, pair):
    done = CliRunner().invoke(
        model.__main__.main,
        ["register", str(folder / "a.png"), str(folder / "b.png"), "--ppi-a", "500",
         "--ppi-b", "500", "--out", str(folder / "command.npz")],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0
    assert done.output.startswith(f"network: {SHIPPED}, the one that ships\n")
    assert str(THRESHOLD) in (folder / "command.html").read_text()
    with np.load(folder / "command.npz") as arrays:
        np.testing.assert_array_equal(arrays["map_ab"], pair.map_ab)
        matches = np.stack([pair.matches[name] for name in pair.matches.dtype.names], 1)
        np.testing.assert_array_equal(arrays["matches"], matches)
        assert arrays["score"] == pair.score > 0.9
        assert arrays["angle_degrees"] == pytest.approx(pair.angle_degrees)


def test_registering_needs_nothing_of_linux_alone(folder, pair, tmp_path):
    """A pair and a table of pairs, without the functions and modules that other systems lack."""
    table = tmp_path / "pairs.csv"
    table.write_text("a,b\n" + f"{folder}/a.png,{folder}/b.png\n" * 2)
    register = ["register", "--pairs", table, "--out", tmp_path / "out", "--workers", "2"]
    command = [sys.executable, "-c", WITHOUT_LINUX, *register, "--ppi-a", "500", "--ppi-b", "500"]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = densereg.RegisteredPair.load(tmp_path / "out/000001.npz")
    # px; the number of cores decides in which order XLA adds
    np.testing.assert_allclose(loaded.map_ab, pair.map_ab, atol=0.01)


def test_arrays_give_the_same_as_files(impressions, pair):
    a, b, _ = [impression.image for impression in impressions]
    same = densereg.register(a, b, ppi_a=500, ppi_b=500)
    np.testing.assert_array_equal(same.map_ab, pair.map_ab)
    np.testing.assert_array_equal(same.matches, pair.matches)
    assert same.score == pair.score
    np.testing.assert_array_equal(same.sigma, pair.sigma)
    assert (same.ppi_a, same.ppi_b) == (500, 500)


def test_a_registrar_prepares_each_file_once(folder, pair, monkeypatch):
    registrar = densereg.Registrar()
    prepared, prepare = [], registrar._files._prepare
    monkeypatch.setattr(registrar._files, "_prepare", lambda *a: prepared.append(a) or prepare(*a))
    a, b, c = [folder / f"{name}.png" for name in "abc"]
    scores = [registrar.register(*two, 500, 500).score for two in ((a, b), (a, c), (b, c))]
    assert scores[0] == pair.score and max(scores[1:]) < 0.3
    assert [path for path, _ in prepared] == [a, b, c]


def test_warp_shows_b_as_a(impressions, pair):
    """Ridges of B lie on those of A, and positions of B arrive at the map's own numbers."""
    a, b, _ = [impression.image for impression in impressions]
    warped, valid = pair.warp(b), np.isfinite(pair.map_ab[..., 0])
    np.testing.assert_array_equal(np.isfinite(warped), valid)
    blurred = [
        cv2.GaussianBlur(np.nan_to_num(image).astype(np.float32), (0, 0), 1.5)
        for image in (a, warped)
    ]
    assert np.corrcoef(*[image[valid] for image in blurred])[0, 1] > 0.5
    positions = pair.warp(pixel_grid(*b.shape))
    np.testing.assert_allclose(positions[valid], pair.map_ab[valid], atol=0.02)
    with pytest.raises(densereg.Misuse, match=r"expected \[\d+, \d+\], as B"):
        pair.warp(b[1:])


def test_inverse_leads_back(pair, folder):
    inverse = pair.inverse()
    assert inverse.angle_degrees == -pair.angle_degrees and inverse.score == pair.score
    y, x = np.nonzero(np.isfinite(pair.map_ab[..., 0]))
    border = (np.nan, np.nan)
    points = pair.map_ab[y[::31], x[::31]][None]
    returned = cv2.remap(inverse.map_ab, points, None, cv2.INTER_LINEAR, borderValue=border)[0]
    distance = np.hypot(*(returned - np.c_[x, y][::31]).T)
    assert np.nanmax(distance) < 0.1 and np.isfinite(distance).mean() > 0.9
    registered = densereg.register(folder / "b.png", folder / "a.png", 500, 500)
    difference = np.hypot(*np.moveaxis(inverse.map_ab - registered.map_ab, -1, 0))
    assert np.nanmax(difference) < 0.2
    same = np.isfinite(inverse.map_ab[..., 0]) == np.isfinite(registered.map_ab[..., 0])
    assert same.mean() > 0.98
    for name in "xy":
        np.testing.assert_array_equal(inverse.matches[f"{name}_a"], pair.matches[f"{name}_b"])
    assert inverse.inverse().map_ab.shape == pair.map_ab.shape
    np.testing.assert_array_equal(np.isfinite(inverse.sigma), np.isfinite(inverse.map_ab[..., 0]))
    ratio = (inverse.sigma / registered.sigma)[same & np.isfinite(inverse.sigma)]
    assert np.quantile(ratio, [0.05, 0.5, 0.95]) == pytest.approx([1, 1, 1], abs=0.05)


def test_saved_and_loaded(pair, tmp_path, impressions):
    pair.save(str(tmp_path / "pair.npz"))
    loaded = densereg.RegisteredPair.load(tmp_path / "pair.npz")
    np.testing.assert_array_equal(loaded.map_ab, pair.map_ab)
    np.testing.assert_array_equal(loaded.matches, pair.matches)
    np.testing.assert_array_equal(loaded.sigma, pair.sigma)
    assert repr(loaded) == repr(pair) and f"{pair.score:.3f}" in repr(pair)
    assert pair.refusal == "" and " % of A's frame mapped>" in repr(pair)
    np.testing.assert_array_equal(loaded.inverse().map_ab, pair.inverse().map_ab)
    with pytest.raises(densereg.Misuse, match="no images"):
        loaded.plot()
    assert loaded._repr_png_() is None and pair._repr_png_().startswith(b"\x89PNG")
    a, b, _ = [impression.image for impression in impressions]
    assert len(loaded.plot(a, b).get_axes()) == len(pair.plot().get_axes())
    for images in ((a[1:], b), (a, b[:, 1:]), (a.astype(float), b)):
        with pytest.raises(densereg.Misuse, match=r"plot: [AB] is an array .*; expected uint8"):
            loaded.plot(*images)


def test_foreground_of_a_file_and_of_pixels(tmp_path):
    image, finger = ridges(420, 400)
    large = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "large.png"), large)
    for mask in (
        densereg.foreground(image, 500),
        densereg.foreground(tmp_path / "large.png", ppi=1000)[::2, ::2],
    ):
        assert mask.shape == image.shape and mask.dtype == bool
        assert (mask & finger).sum() / (mask | finger).sum() > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("A", "B"), "ppi_a"),
        (("A", "B", 500), "ppi_b"),
        (("A", "B", 100, 500), "ppi_a is 100; expected 200 to 4000"),
        (("A", "B", "many", 500), "ppi_a is 'many'"),
        (("float", "B", 500, 500), r"a: array \[420, 400\] float64; expected the path"),
        (("colour", "B", 500, 500), r"a: array \[420, 400, 3\] uint8"),
        ((None, "B", 500, 500), "a: NoneType; expected the path"),
        (("A", "B", 500, 500, "no.safetensors"), "no such checkpoint"),
    ],
)
def test_wrong_arguments(arguments, message):
    image = ridges(420, 400)[0]
    images = {"A": image, "B": image[::-1], "float": image / 255, "colour": np.dstack([image] * 3)}
    arguments = [images.get(a, a) if isinstance(a, str) else a for a in arguments]
    with pytest.raises(densereg.Misuse, match=message):
        densereg.register(*arguments)


def test_bad_files(folder, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "a.raw").write_bytes(bytes(100))
    for a, b, message in (
        ("none.png", folder / "b.png", "none.png: cannot be read"),
        (tmp_path / "bad.png", folder / "b.png", "bad.png"),
        (tmp_path / "a.raw", folder / "b.png", "give Python its pixels instead of the file"),
        (folder / "a.png", folder / "a.png", "is both A and B"),
    ):
        with pytest.raises(densereg.Fault, match=message):
            densereg.register(a, b, 500, 500)


def test_a_doubtful_resolution_is_a_warning(folder):
    with pytest.warns(UserWarning, match=rf"a\.png: 300 ppi {CONTRADICTION}") as warned:
        densereg.register(folder / "a.png", folder / "b.png", 300, 500)
    assert [warning.filename for warning in warned] == [__file__]


def test_a_doubtful_resolution_of_an_array_is_the_same_warning(impressions):
    a, b, _ = [impression.image for impression in impressions]
    with pytest.warns(UserWarning, match=f"^a: 300 ppi {CONTRADICTION}") as warned:
        densereg.register(a, b, 300, 500)
    with pytest.warns(UserWarning, match=f"^image: 300 ppi {CONTRADICTION}") as of_foreground:
        densereg.foreground(a, 300)
    assert [warning.filename for warning in (*warned, *of_foreground)] == [__file__] * 2


def test_a_refusal_is_stated(folder, tmp_path):
    pair = densereg.register(folder / "a.png", folder / "c.png", 500, 500)
    assert pair.refusal and np.isnan(pair.map_ab).all()
    assert repr(pair).endswith(f", no map: {pair.refusal}>") and "°" not in repr(pair)
    assert pair.inverse().refusal == pair.refusal
    pair.save(tmp_path / "c.npz")
    loaded = densereg.RegisteredPair.load(tmp_path / "c.npz")
    assert loaded.refusal == "" and repr(loaded).endswith(", no map>")


def test_opencv_resamples_b_by_the_recipe_of_the_questions(impressions, pair):
    (recipe,) = re.findall(r"`(cv2\.remap\(.*?)`[.]", (ROOT / "docs/FAQ.md").read_text())
    b, map_ab = impressions[1].image, pair.map_ab
    resampled = eval(recipe, {"cv2": cv2, "np": np, "b": b, "map_ab": map_ab})
    warped = pair.warp(b)
    nowhere = np.isnan(warped)
    assert nowhere.any() and (resampled[nowhere] == 255).all()
    assert np.abs(resampled - warped)[~nowhere].mean() < 1


def test_a_missing_extra_is_named():
    with pytest.raises(densereg.Misuse, match="'shards'"), extras.report_missing():
        raise ModuleNotFoundError(name="array_record.python")
    with pytest.raises(ModuleNotFoundError), extras.report_missing():
        raise ModuleNotFoundError(name="surprise")


def test_only_public_names_are_listed():
    assert dir(densereg) == sorted([*densereg.__all__, "__version__"])


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = densereg.nothing
    assert {"RegisteredPair", "PairSequence"} <= set(densereg.__all__)
    assert all(hasattr(densereg, name) for name in densereg.__all__)
