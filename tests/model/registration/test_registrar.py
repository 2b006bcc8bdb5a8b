"""Registration from files to files, with a stand-in for the network's matches."""

import re

import cv2
import jax
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from image_files import encode, exif
from safetensors.numpy import load_file

from model.__main__ import SHIPPED, main
from model.network import tensor_file, weights
from model.network.config import ModelConfig
from model.network.matching import Correspondences
from model.network.net import create
from model.registration.calibration import Calibration, CalibrationCurves
from model.registration.registrar import Registrar, SearchResult
from pipeline.imaging import orientation
from pipeline.imaging.polarity import Polarity
from pipeline.imaging.resolution import by_option
from pipeline.imaging.warp import Warp, apply_affine, invert_affine, random_control, rotation
from shards.foundation.errors import Fault

CONFIG = ModelConfig(
    image_size=128,
    stem_channels=4,
    stem_stride=2,
    stage_channels=(4, 8),
    width=8,
    layers=1,
    heads=2,
    mlp=8,
    attention="linear",
)
SHAPE = (420, 400)
CENTRE = (200.0, 210.0)


def ridges(shape, seed=0, period=8.5):
    """Dark ridges [H, W] on a light ground within an ellipse, with endings all over."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    radius = np.hypot(x - CENTRE[0] - 20 * seed, (y - CENTRE[1] - 60) * 1.2)
    rng = np.random.default_rng(seed)
    endings = np.zeros(shape)
    positions, turns = rng.uniform(20, 400, (40, 2)), rng.choice([-1, 1], 40)
    for position, turn in zip(positions, turns, strict=True):
        endings += turn * np.arctan2(y - position[1], x - position[0])
    wave = np.cos(2 * np.pi * radius / period + endings)
    finger = np.hypot((x - CENTRE[0]) / 150, (y - CENTRE[1]) / 170) < 1
    return np.where(finger, 130 + 80 * np.tanh(2 * wave), 235).astype(np.uint8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "c.safetensors"
    net = create(CONFIG, 0)
    arrays = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(net)).items()}
    tensor_file.write(path, arrays, weights.metadata(CONFIG, weights.CropGeometry(288, 128, 32)))
    return path


@pytest.fixture(scope="module")
def registrar(checkpoint):
    return Registrar(checkpoint)


def elastic(amplitude):
    """A rotation by 0.6 rad with a smooth displacement of `amplitude` px."""
    rng = np.random.default_rng(5)
    control, origin = random_control(rng, SHAPE, 90.0, amplitude, 0.3)
    return Warp(rotation(0.6, CENTRE, (14, -8)), control, 90.0, origin)


@pytest.fixture(params=[0.0, 6.0], ids=["rigid", "elastic"])
def warp(request):
    """Px of B → px of A, both at 500 ppi."""
    return elastic(request.param)


def scaled(image, ppi):
    """The image at another resolution, and its px → px of the image at 500 ppi."""
    size = tuple(round(n * ppi / 500) for n in image.shape[::-1])
    ratio = np.array(image.shape[::-1]) / size
    matrix = np.hstack([np.diag(ratio), ((ratio - 1) / 2)[:, None]])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), matrix


def oracle(registrar, a, b, truth, wrong=0.3, seed=0, inverse=None):
    """Stand-in for the network's match: the truth to a pixel for most cells, random for the rest.

    `truth` maps points of A to B and `inverse` those of B to A, which the network matches where B
    ranks first; without it `truth` serves both.
    """
    if b.rank < a.rank:
        a, b, truth = b, a, inverse or truth
    rng = np.random.default_rng(seed)
    size = registrar.geometry.size
    crop_a = registrar.window_features(a, size).crop
    crop_b = registrar.window_features(b, size).crop
    in_file = truth(apply_affine(crop_a.to_original, registrar.network.cells(size)))
    points = apply_affine(invert_affine(crop_b.to_original), in_file)
    points += rng.normal(0, 0.3, points.shape)
    lost = rng.random(len(points)) < wrong
    points[lost] = rng.uniform(0, 127, (lost.sum(), 2))
    confidence = np.where(lost, 0.3, 0.9)
    mutual = np.ones((1, len(points)), bool)
    correspondences = Correspondences(points[None], confidence[None], mutual)
    return lambda features_a, features_b: correspondences


@pytest.mark.parametrize(("ppi_a", "ppi_b"), [(500, 500), (500, 1000), (361, 800)])
def test_map_is_right_in_the_pixels_of_the_files(registrar, warp, monkeypatch, ppi_a, ppi_b):
    original = ridges(SHAPE)
    source = warp.dense(*SHAPE).astype(np.float32)
    turned = cv2.remap(original, source, None, cv2.INTER_CUBIC, borderValue=235.0)
    image_a, to_working_a = scaled(original, ppi_a)
    image_b, to_working_b = scaled(turned, ppi_b)

    def truth(points):
        return apply_affine(
            invert_affine(to_working_b), warp.inverse(apply_affine(to_working_a, points))
        )

    def inverse(points):
        return apply_affine(invert_affine(to_working_a), warp(apply_affine(to_working_b, points)))

    a, b = registrar.prepare(image_a, ppi_a), registrar.prepare(image_b, ppi_b)
    match = oracle(registrar, a, b, truth, inverse=inverse)
    monkeypatch.setattr(registrar.network, "match", match)
    registration = registrar.register_impressions(a, b)
    map_ab, matches = registration.map_ab, registration.matches

    assert map_ab.shape == (*image_a.shape, 2)
    assert map_ab.dtype == matches.dtype == np.float32
    y, x = np.nonzero(np.isfinite(map_ab[..., 0]))
    assert len(y) > 0.25 * image_a.size
    y, x = y[::97], x[::97]
    error = np.hypot(*(map_ab[y, x] - truth(np.c_[x, y].astype(float))).T) * 500 / ppi_b
    assert np.median(error) < 0.3
    assert np.quantile(error, 0.95) < (2.0 if warp.control.any() else 0.6)
    assert registration.score > 0.5
    assert registration.angle == pytest.approx(-0.6, abs=0.05)  # the warp maps B to A
    error = matches[:, 2:4] - truth(matches[:, :2].astype(float))
    assert np.hypot(*error.T).max() * 500 / ppi_b < 12


def test_both_directions_are_one_map(registrar, monkeypatch):
    """A → B and B → A agree, whichever is computed first, in score and matches too."""
    warp, image = elastic(6.0), ridges(SHAPE)
    source = warp.dense(*SHAPE).astype(np.float32)
    turned = cv2.remap(image, source, None, cv2.INTER_CUBIC, borderValue=235.0)
    other, to_working = scaled(turned, 700)

    def truth(points):
        return apply_affine(invert_affine(to_working), warp.inverse(points))

    a, b = registrar.prepare(image, 500), registrar.prepare(other, 700)
    match = oracle(registrar, a, b, truth, inverse=lambda p: warp(apply_affine(to_working, p)))
    monkeypatch.setattr(registrar.network, "match", match)
    forward, backward = registrar.register_impressions(a, b), registrar.register_impressions(b, a)
    assert forward.score == backward.score > 0.9
    assert forward.angle == pytest.approx(-backward.angle, abs=1e-6)
    np.testing.assert_array_equal(forward.matches, backward.matches[:, [2, 3, 0, 1, 4]])
    y, x = np.nonzero(np.isfinite(forward.map_ab[..., 0]))
    points = forward.map_ab[y, x][None, ::7]
    border = (np.nan, np.nan)
    returned = cv2.remap(backward.map_ab, points, None, cv2.INTER_LINEAR, borderValue=border)[0]
    error = np.hypot(*(returned - np.c_[x, y][::7]).T)
    assert np.isfinite(error).mean() > 0.97  # NaN is interpolated at the border of the overlap
    assert np.nanmax(error) < 0.2


def test_background_has_no_correspondence(registrar, warp, monkeypatch):
    """Neither the background of A, nor pixels that map out of B's frame."""
    image = ridges(SHAPE)
    cut = image[:, :230]
    a, b = registrar.prepare(image, 500), registrar.prepare(cut, 500)
    monkeypatch.setattr(registrar.network, "match", oracle(registrar, a, b, lambda p: p))
    map_ab = registrar.register_impressions(a, b).map_ab
    assert np.isnan(map_ab[:30, :30]).all()
    assert np.isnan(map_ab[:, 240:]).all()
    assert np.isfinite(map_ab[150:250, 100:200]).all()


@pytest.mark.parametrize("seed", range(8))
def test_random_matches_give_no_map(registrar, monkeypatch, seed):
    """Ridges bend onto almost any others, so the score that ships counts the matches, too."""
    a, b = registrar.prepare(ridges(SHAPE), 500), registrar.prepare(ridges(SHAPE, 1), 500)
    random = oracle(registrar, a, b, lambda p: p, wrong=1.0, seed=seed)
    monkeypatch.setattr(registrar.network, "match", random)
    monkeypatch.setattr(registrar, "calibration", weights.load(SHIPPED).calibration)
    registration = registrar.register_impressions(a, b)
    assert registration.score < 0.05
    assert registration.refusal
    assert np.isnan(registration.map_ab).all()


def test_matches_without_confidence_give_no_map(registrar, monkeypatch):
    a, b = registrar.prepare(ridges(SHAPE), 500), registrar.prepare(ridges(SHAPE, 1), 500)
    correspondences = oracle(registrar, a, b, lambda p: p)(None, None)
    without_confidence = Correspondences(
        correspondences.points, 0 * correspondences.confidence, correspondences.mutual
    )
    monkeypatch.setattr(
        registrar.network, "match", lambda features_a, features_b: without_confidence
    )
    registration = registrar.register_impressions(a, b)
    assert registration.score < 0.01
    assert np.isnan(registration.map_ab).all()
    assert registration.matches.shape == (0, 5)


def test_score_depends_on_the_ridges(registrar, monkeypatch):
    """The matches state the identity with high confidence; only equal ridges confirm it."""
    a, other = registrar.prepare(ridges(SHAPE), 500), registrar.prepare(ridges(SHAPE, 3), 500)
    scores = []
    for b in (a, other):
        monkeypatch.setattr(registrar.network, "match", oracle(registrar, a, b, lambda p: p, 0.0))
        scores.append(registrar.register_impressions(a, b).score)
    assert 1 >= scores[0] > 0.9 > 0.6 > scores[1] >= 0


def test_second_candidate_is_used_where_ridges_contradict_the_first(registrar, monkeypatch):
    """More matches agree on a shift of 60 px than on the truth."""
    a = registrar.prepare(ridges(SHAPE), 500)
    truth = oracle(registrar, a, a, lambda p: p, 0.0)(None, None)
    shifted = np.arange(len(registrar.network.cells(128))) % 5 < 3
    points = truth.points + np.where(shifted[:, None], [60 / 2.25, 0], 0)[None]
    mostly_wrong = Correspondences(points, truth.confidence, truth.mutual)
    monkeypatch.setattr(registrar.network, "match", lambda features_a, features_b: mostly_wrong)
    registration = registrar.register_impressions(a, a)
    y, x = np.nonzero(a.foreground)
    assert np.abs(registration.map_ab[y, x] - np.c_[x, y]).max() < 1
    assert registration.score > 0.9
    assert 0 < len(registration.matches) < 0.5 * len(points[0])  # the wrong ones are not explained


def test_untrained_network_gives_a_valid_result(registrar):
    registration = registrar.register(ridges(SHAPE), 500, ridges((300, 330), 1), 500)
    assert registration.map_ab.shape == (*SHAPE, 2)
    assert 0 <= registration.score <= 1


def test_image_without_finger_is_named(registrar, tmp_path):
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((200, 200), 200, np.uint8))
    with pytest.raises(Fault, match=r"blank\.png: no foreground"):
        registrar.prepare_file(tmp_path / "blank.png")


@pytest.fixture
def folder(tmp_path):
    """Two impressions."""
    cv2.imwrite(str(tmp_path / "a.png"), ridges(SHAPE))
    cv2.imwrite(str(tmp_path / "b.png"), ridges(SHAPE, 1))
    return tmp_path


def run_register(*arguments):
    return CliRunner().invoke(main, ["register", *map(str, arguments)])


def test_command_writes_map_and_picture(folder, checkpoint):
    out, picture = folder / "new" / "map.npz", folder / "new" / "p.png"
    result = run_register(
        folder / "a.png", folder / "b.png", "--checkpoint", checkpoint, "--out", out,
        "--picture", picture, "--ppi_a", 500,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert re.search(r"score 0\.\d+ \(uncalibrated\), ", result.output)
    network, *lines = result.output.splitlines()
    assert network == f"network: {checkpoint}"
    assert lines[0] == f"A {folder / 'a.png'}: 400×420 px, 500 ppi (option)"
    source = "assumed: no tag; the ridge period agrees"
    assert lines[1] == f"B {folder / 'b.png'}: 400×420 px, 500 ppi ({source})"
    with np.load(out) as arrays:
        assert {"map_ab", "score", "matches", "opposite_polarity"} < set(arrays)
        assert (arrays["ppi_a"], arrays["ppi_b"]) == (500, 500)
        assert (str(arrays["ppi_a_source"]), str(arrays["ppi_b_source"])) == ("option", source)
    assert cv2.imread(str(picture)).shape[2] == 3
    page = out.with_suffix(".html")
    assert lines[-2:] == [str(page), str(picture)]
    text = page.read_text()
    assert "Resolution of A: 500 ppi (option)" in text and "a.png and b.png" in text
    assert "recommended threshold" not in text.lower()  # of the network that ships alone


def test_command_writes_no_page_over_another_file(folder, checkpoint):
    images = folder / "a.png", folder / "b.png", "--checkpoint", checkpoint
    for arguments in (
        ("--out", folder / "r.html"),
        ("--out", folder / "r.npz", "--picture", folder / "r.html"),
    ):
        result = run_register(*images, *arguments)
        assert result.exit_code == 2 and "is the page on the registration" in result.output
    assert not (folder / "r.html").exists()


def test_command_names_its_result_by_default(folder, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run_register(folder / "a.png", folder / "b.png", "--checkpoint", checkpoint)
    assert result.exit_code == 0, result.output
    names = ["registration.html", "registration.npz"]
    assert sorted(path.name for path in tmp_path.glob("registration.*")) == names
    result = run_register("--pairs", tmp_path / "pairs.csv", "--checkpoint", checkpoint)
    assert result.exit_code == 2 and "--pairs needs --out" in result.output


def test_command_writes_no_file_whose_name_states_another_format(folder, checkpoint, tmp_path):
    images = folder / "a.png", folder / "b.png", "--checkpoint", checkpoint
    for arguments, message in (
        (("--out", tmp_path / "map.txt"), "map.txt: expected a name that ends in .npz"),
        (("--out", tmp_path / "map"), "map: expected a name that ends in .npz"),
        (("--out", "."), "--out .: expected a name that ends in .npz"),
        (("--picture", tmp_path / "p.jpg"), "p.jpg: expected a name that ends in .png"),
    ):
        result = run_register(*images, *arguments)
        assert result.exit_code == 2 and message in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"}


def test_command_replaces_no_input(folder, checkpoint):
    images = folder / "a.png", folder / "b.png"
    (folder / "link.npz").symlink_to(folder / "b.png")
    before = [path.read_bytes() for path in images]
    for arguments in (
        ("--out", folder / "b.png"),
        ("--out", folder / "link.npz"),
        ("--out", folder / "r.npz", "--picture", folder / "a.png"),
        ("--out", folder / "r.npz", "--picture", folder / "r.npz"),
    ):
        result = run_register(*images, "--checkpoint", checkpoint, *arguments)
        assert result.exit_code == 2 and "is an input or another output" in result.output
    assert [path.read_bytes() for path in images] == before
    assert not (folder / "r.npz").exists()


def test_command_warns_of_a_doubtful_resolution_and_of_two_fingers(folder, checkpoint):
    """And names light ridges; all on a line of its own, and the pair is registered."""
    cv2.imwrite(str(folder / "101_1.png"), ridges(SHAPE, 0, 13.0))
    cv2.imwrite(str(folder / "102_1.png"), 255 - ridges(SHAPE, 1))
    images = folder / "101_1.png", folder / "102_1.png"
    result = run_register(*images, "--checkpoint", checkpoint, "--out", folder / "o.npz")
    assert result.exit_code == 0, result.output
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert warnings[0].startswith(f"warning: {images[0]}: 500 ppi (assumed: no tag; ridges 1")
    assert warnings[0].endswith("do not decide): check it, or state it by --ppi-a")
    assert warnings[1:] == [
        "warning: the names 101_1.png and 102_1.png state two fingers, if they are named as in FVC:"
        " 101 and 102"
    ]
    assert "the ridge period agrees), light ridges\n" in result.stdout


@pytest.mark.parametrize("side", ["a", "b", "both"])
def test_undecided_polarity_is_tried_both_ways(registrar, monkeypatch, side):
    """The better sign is kept, whichever impression is inverted, and costs nothing if decided."""
    image, other = ridges(SHAPE), ridges(SHAPE)
    part = image[120:290, 110:290].copy()
    a = registrar.prepare(255 - part if side != "b" else other, 500)
    b = registrar.prepare(255 - part if side == "b" else part if side == "both" else other, 500)
    assert Polarity.UNDECIDED in (a.polarity, b.polarity)
    searched = []

    def find_deformation(first, second):
        searched.append((first, second))
        same_sign = np.sign(np.corrcoef(_middle(first), _middle(second))[0, 1])
        return SearchResult(np.zeros((0, 5)), None, 0.9 if same_sign > 0 else 0.6)

    def _middle(impression):
        picture = impression.prepared.image
        return (picture if picture.shape == part.shape else picture[120:290, 110:290]).ravel()

    monkeypatch.setattr(registrar, "find_deformation", find_deformation)
    result, inverted = registrar._find_in_either_polarity(a, b)
    assert (result.correlation, inverted, len(searched)) == (0.9, True, 2)
    decided = registrar.prepare(other, 500)
    assert registrar._find_in_either_polarity(decided, decided)[1] is False
    assert len(searched) == 3


@pytest.mark.parametrize(
    ("as_stored", "inverted", "near", "chosen", "is_inverted"),
    [
        (0.0, 0.5, 0.6, 0.6, False),  # the search as stored had failed
        (0.0, 0.5, 0.3, 0.5, True),
        (0.5, 0.0, 0.6, 0.6, True),
        (0.5, 0.51, 0.0, 0.5, False),  # dark ridges in both are usual
        (0.0, 0.1, 0.9, 0.1, True),  # hopeless: not searched again
    ],
)
def test_the_worse_polarity_is_searched_again_near_the_better(
    registrar, monkeypatch, as_stored, inverted, near, chosen, is_inverted
):
    part = registrar.prepare(ridges(SHAPE)[120:290, 110:290].copy(), 500)
    assert part.polarity is Polarity.UNDECIDED
    found, deformation = iter((as_stored, inverted)), object()

    def result(correlation):
        return SearchResult(np.zeros((0, 5)), deformation, correlation)

    monkeypatch.setattr(registrar, "find_deformation", lambda *_: result(next(found)))
    monkeypatch.setattr(registrar, "_look_near", lambda *_: result(near))
    best, opposite = registrar._find_in_either_polarity(part, part)
    assert (best.correlation, opposite) == (chosen, is_inverted)


def test_score_is_by_the_curves_of_the_checkpoint(registrar, checkpoint, tmp_path):
    """And with them it is not called uncalibrated."""
    curves = CalibrationCurves(0.5, 1e-6, 0.0, 1.0)
    path = tmp_path / "own.safetensors"
    arrays = load_file(checkpoint)
    geometry = weights.CropGeometry(288, 128, 32)
    tensor_file.write(path, arrays, weights.metadata(CONFIG, geometry, Calibration(curves)))
    images = ridges(SHAPE), 500, ridges(SHAPE, 1), 500
    uncalibrated, calibrated = registrar.register(*images), Registrar(path).register(*images)
    assert calibrated.score == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-5)
    assert not uncalibrated.calibrated and "uncalibrated" in uncalibrated.score_text
    assert calibrated.calibrated and calibrated.score_text == f"score {calibrated.score:.3f}"


def test_one_file_as_both_images_is_refused(folder, checkpoint):
    """By any name, and nothing is written."""
    (folder / "link.png").symlink_to(folder / "a.png")
    for other in ("a.png", "link.png"):
        out, images = folder / "o.npz", (folder / "a.png", folder / other)
        result = run_register(*images, "--checkpoint", checkpoint, "--out", out)
        assert result.exit_code == 1
        assert "a.png: is both A and B" in result.output
        assert not out.exists()


@pytest.mark.parametrize("bad", ["blank.png", "text.png", "gone.png"])
def test_bad_image_is_named(folder, checkpoint, bad):
    cv2.imwrite(str(folder / "blank.png"), np.full(SHAPE, 255, np.uint8))
    (folder / "text.png").write_text("no image")
    for images in ((bad, "b.png"), ("a.png", bad)):
        paths = [folder / name for name in images]
        result = run_register(*paths, "--checkpoint", checkpoint, "--out", folder / "o.npz")
        assert result.exit_code == 1
        assert f"{bad}: " in result.output
        assert not (folder / "o.npz").exists()


def test_impressions_of_other_sizes_need_no_compilation(registrar):
    """Programs are compiled for the size of a window, not of an image; two windows serve all."""
    compiled = []

    def listen(event, duration, **_):
        compiled.extend([event] if event.endswith("backend_compile_duration") else [])

    registrar.register(ridges(SHAPE), 500, ridges(SHAPE, 1), 500)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for height, width, ppi in ((390, 377, 500), (333, 351, 480), (640, 611, 800)):
            registrar.register(ridges((height, width)), ppi, ridges(SHAPE, 1), 500)
        by_registrar = len(compiled)
        jax.jit(lambda x: x + 1).lower(1.0).compile()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert len(compiled) > by_registrar  # compilations are noticed
    assert not by_registrar


@pytest.mark.parametrize(
    "arguments", [["a.png"], ["a.png", "b.png", "c.png"], ["a.png", "b.png", "--pairs", "p.csv"]]
)
def test_wrong_arguments(folder, checkpoint, arguments):
    result = run_register(*arguments, "--checkpoint", checkpoint, "--out", folder / "o.npz")
    assert result.exit_code == 2
    assert not (folder / "o.npz").exists()


def test_output_that_cannot_be_written_is_named_before_the_registration(folder, checkpoint):
    (folder / "taken.npz").mkdir()
    (folder / "o.html").mkdir()
    images = folder / "a.png", folder / "b.png"
    below_a_file = folder / "a.png" / "o"
    for arguments, message in (
        (("--out", folder / "taken.npz"), "taken.npz: is a folder; expected the name of a file"),
        (("--out", folder / "o.npz"), "o.html: is a folder"),
        (("--out", below_a_file.with_suffix(".npz")), "a.png/o.npz: cannot be written: "),
        (("--picture", below_a_file.with_suffix(".png")), "a.png/o.png: cannot be written: "),
    ):
        result = run_register(*images, "--checkpoint", checkpoint, *arguments)
        assert result.exit_code == 1 and message in result.output
        assert len(result.stdout.splitlines()) == 1  # the network; the images were not read
    assert not list(folder.glob(".*.tmp"))


@pytest.mark.parametrize("numbers", [(1, 2), (6, 1), (7, 8), (3, 5)])
def test_map_is_in_px_as_stored_whatever_the_orientation_tags(
    registrar, monkeypatch, tmp_path, numbers
):
    """Images that are stored turned give the map of the upright ones, in px as stored."""
    warp = elastic(6.0)
    source = warp.dense(*SHAPE).astype(np.float32)
    upright_a = ridges(SHAPE)
    upright_b = cv2.remap(upright_a, source, None, cv2.INTER_CUBIC, borderValue=235.0)
    files = {}
    for name, image, number in (("a", upright_a, numbers[0]), ("b", upright_b, numbers[1])):
        files[name] = tmp_path / f"{name}.png", tmp_path / f"{name}_turned.png"
        files[name][0].write_bytes(encode(image, "PNG"))
        stored = orientation.as_stored(image, number)
        files[name][1].write_bytes(encode(stored, "PNG", exif=exif(number)))
    a, b = [registrar.prepare_file(files[name][0], by_option(500)) for name in "ab"]
    turned_a, turned_b = [registrar.prepare_file(files[name][1], by_option(500)) for name in "ab"]
    assert np.array_equal(turned_a.prepared.image, a.prepared.image)
    monkeypatch.setattr(
        registrar.network, "match", oracle(registrar, a, b, warp.inverse, inverse=warp)
    )
    plain, turned = (
        registrar.register_impressions(*pair) for pair in ((a, b), (turned_a, turned_b))
    )
    to_stored = orientation.to_stored(numbers[1], turned_b.shape)
    expected = apply_affine(to_stored, plain.map_ab.reshape(-1, 2)).reshape(plain.map_ab.shape)
    expected = orientation.as_stored(expected, numbers[0])
    assert turned.map_ab.shape == (*turned_a.shape, 2)
    assert np.isfinite(turned.map_ab).any()
    assert np.allclose(turned.map_ab, expected, atol=1e-3, equal_nan=True)
    a_stored = orientation.to_stored(numbers[0], turned_a.shape)
    assert np.allclose(
        turned.matches[:, :2], apply_affine(a_stored, plain.matches[:, :2]), atol=1e-3
    )


def test_command_reads_raw_images_and_says_how_files_were_read(folder, checkpoint):
    raw, turned = folder / "a.raw", folder / "turned.png"
    raw.write_bytes(ridges(SHAPE).tobytes())
    turned.write_bytes(encode(ridges(SHAPE, 1), "PNG", exif=exif(6)))
    options = "--checkpoint", checkpoint, "--out", folder / "o.npz", "--raw", "400x420"
    result = run_register(raw, turned, *options, "--picture", folder / "p.png")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()[1:]
    agrees = "500 ppi (assumed: no tag; the ridge period agrees)"
    assert lines[0] == f"A {raw}: 400×420 px, {agrees}; no header, read as 400×420 px"
    assert lines[1] == f"B {turned}: 400×420 px, {agrees}; orientation tag 6, processed upright"
    result = run_register(raw, turned, *options[:-1], "400x421")
    assert result.exit_code == 1
    assert f"{raw}: has 168000 bytes; a raw image of 400×421 px has 168400" in result.stderr
    assert run_register(raw, turned, *options[:-1], "400").exit_code == 2
