"""Registration of a table of pairs: every row has a result or an error message."""

import csv
import functools
import hashlib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from prints import finger

from model.__main__ import main
from model.network import tensor_file, weights
from model.network.config import ModelConfig
from model.network.net import create
from model.registration import method_version, pair_table, register_table, table_page
from model.registration.calibration import UNCALIBRATED
from model.registration.impression_cache import CacheParameters, ImpressionCache
from pipeline.imaging.resolution import ImageResolution, by_option
from shards.foundation.errors import Fault, Misuse
from shards.foundation.folder_lock import sole_writer

CONFIG = ModelConfig(
    image_size=32, stride=8, stem_channels=2, stage_channels=(2, 2, 2), blocks=1, width=8,
    layers=0, heads=2, mlp=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three impressions, an empty image and an untrained checkpoint."""
    root = tmp_path_factory.mktemp("pairs")
    for k in range(3):
        cv2.imwrite(str(root / f"{k}.png"), finger(k, 190, 180))
    cv2.imwrite(str(root / "blank.png"), np.full((200, 200), 255, np.uint8))
    arrays = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(CONFIG, 0))).items()}
    geometry = weights.CropGeometry(288, 32, 4)
    tensor_file.write(root / "c.safetensors", arrays, weights.metadata(CONFIG, geometry))
    return root


def write_table(path, folder, rows):
    path.write_text("a,b\n" + "".join(f"{folder / a},{folder / b}\n" for a, b in rows))
    return path


def test_failed_rows_are_reported_and_the_others_registered(folder, tmp_path):
    rows = [("0.png", "1.png"), ("0.png", "gone.png"), ("blank.png", "1.png"), ("1.png", "1.png")]
    table = write_table(tmp_path / "pairs.csv", folder, [*rows, ("2.png", "0.png")])
    out = tmp_path / "results"
    out.mkdir()
    (out / "000001.npz").write_bytes(b"stale")
    errors = register_table.register_table(folder / "c.safetensors", table, out)
    names = ["000000.npz", "000004.npz", "index.html", "scores.csv", "thumbnails"]
    assert sorted(p.name for p in out.glob("[!.]*")) == names
    thumbnails = sorted(p.name for p in (out / "thumbnails").iterdir())
    assert thumbnails == ["000000.jpg", "000004.jpg"]
    assert [error.split(" (")[0] for error in errors] == [f"row 00000{k}" for k in (1, 2, 3)]
    assert "(line 3 of" in errors[0]
    messages = ("gone.png", "blank.png: no foreground", "both A and B")
    for error, message in zip(errors, messages, strict=True):
        assert message in error
    with np.load(out / "000004.npz") as result:
        assert result["map_ab"].shape == (190, 180, 2)
        assert result["matches"].shape[1] == 5
        assert 0 <= float(result["score"]) <= 1
        scores = read_scores(out)
        assert float(scores[4]["score"]) == pytest.approx(float(result["score"]), rel=1e-5)
        assert int(scores[4]["matches"]) == len(result["matches"])
    assert [row["row"] for row in scores] == list("01234")
    assert [bool(row["fault"]) for row in scores] == [False, True, True, True, False]
    assert [row["a"] for row in scores] == [str(folder / f"{a}") for a, _ in [*rows, ("2.png", 0)]]


def read_scores(out):
    with (out / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class FastRegistrar:
    """Stands in for the registrar, the impression cache and a registration.

    Every existing file is an impression; a KeyboardInterrupt is raised after `most` registrations.
    """

    score, matches, refusal = 0.25, np.zeros((7, 5)), "too little in common"

    def __init__(self, most=10**6):
        self.most, self.prepared, self.registrations = most, [], 0

    def get(self, path, known):
        if not path.exists():
            raise Fault(f"{path}: cannot be read")
        self.prepared.append((path.name, known))
        return SimpleNamespace(
            resolution=known or ImageResolution(500.0, "tag: pHYs"), notes=("page 1 of 2",)
        )

    def register_impressions(self, a, b):
        if self.registrations == self.most:
            raise KeyboardInterrupt
        self.registrations += 1
        return self

    def save(self, path):
        path.write_bytes(b"map")


@pytest.fixture
def fast(monkeypatch):
    """Function that registers a table with a new FastRegistrar: returns it, and the errors."""

    def run(table, out, *ppi, most=10**6, workers=1, **options):
        registrar = FastRegistrar(most)
        load = functools.cache(lambda checkpoint, raw_size: (registrar, registrar))
        monkeypatch.setattr(table_page, "write_thumbnail", touch)
        monkeypatch.setattr(register_table, "_load_registrar", load)
        checkpoint = table.with_name("checkpoint")
        checkpoint.touch()
        arguments = (checkpoint, table, out, *ppi)
        return registrar, register_table.register_table(*arguments, workers=workers, **options)

    return run


def touch(path, *_):
    """Stand for a thumbnail."""
    path.parent.mkdir(exist_ok=True)
    path.touch()


def touched(path):
    """An image, for a FastRegistrar."""
    path.touch()
    return path


def write_images(root, count=5):
    """Write distinct files 0.png, 1.png, … and a table of all their pairs."""
    for k in range(count):
        (root / f"{k}.png").write_bytes(bytes([k]))
    rows = [(f"{a}.png", f"{b}.png") for b in range(count) for a in range(b)]
    return write_table(root / "pairs.csv", root, rows)


def test_an_interrupted_command_says_what_is_kept(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(register_table, "register_table", interrupted)
    table = write_table(tmp_path / "pairs.csv", tmp_path, [("a.png", "b.png")])
    arguments = ["register", "--pairs", table, "--out", tmp_path / "o"]
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 1
    assert "stopped; finished rows are kept: run the same command again to continue" in done.output


def test_interrupted_table_is_continued(tmp_path, fast):
    """Also after a line of scores.csv that was cut off while it was written."""
    table, complete, out = write_images(tmp_path), tmp_path / "complete", tmp_path / "out"
    assert fast(table, complete)[0].registrations == 10
    with pytest.raises(KeyboardInterrupt):
        fast(table, out, most=7)
    assert len(read_scores(out)) == 7
    with (out / "scores.csv").open("a") as file:
        file.write(f"7,{tmp_path / '1.png'},{tmp_path / '4.png'},0.25,7,,01")
    assert fast(table, out)[0].registrations == 3
    assert (out / "scores.csv").read_bytes() == (complete / "scores.csv").read_bytes()
    assert fast(table, out, workers=2)[0].registrations == 0
    assert (out / "scores.csv").read_bytes() == (complete / "scores.csv").read_bytes()


def test_rows_with_other_inputs_are_registered_again(tmp_path, fast):
    table, out = write_images(tmp_path), tmp_path / "out"
    fast(table, out)
    (tmp_path / "4.png").write_bytes(b"another image")
    assert fast(table, out)[0].registrations == 4
    (out / "000002.npz").unlink()
    assert fast(table, out)[0].registrations == 1
    (tmp_path / "0.png").unlink()
    registrar, errors = fast(table, out)
    assert registrar.registrations == 0 and len(errors) == 4
    (tmp_path / "0.png").write_bytes(bytes([0]))
    assert fast(table, out)[0].registrations == 4  # rows with an error are tried again
    assert fast(table, out, by_option(1000.0))[0].registrations == 10  # another resolution


def test_finished_rows_of_another_table_or_checkpoint_are_never_replaced(tmp_path, fast):
    table, out = write_images(tmp_path), tmp_path / "out"
    head, first, second, *rows = table.read_text().splitlines()
    fast(table, out)
    before = {path.name: path.read_bytes() for path in out.rglob("*.*")}
    for lines in ([head, first, second], [head, second, first, *rows], [head, *rows]):
        table.write_text("\n".join(lines))
        with pytest.raises(
            Misuse, match=r"10 finished rows, and its row 00000\d .* is not that of"
        ):
            fast(table, out)
    table.write_text("\n".join([head, first, second, *rows]))
    (tmp_path / "checkpoint").write_bytes(b"another network")
    with pytest.raises(Misuse, match="another checkpoint or version of the program; name another"):
        fast(table, out)
    assert {path.name: path.read_bytes() for path in out.rglob("*.*")} == before
    (out / "scores.csv").unlink()
    assert fast(table, out)[0].registrations == 10


def test_a_table_may_grow(tmp_path, fast):
    table, out = write_images(tmp_path), tmp_path / "out"
    text = table.read_text()
    table.write_text("\n".join(text.splitlines()[:4]))
    assert fast(table, out)[0].registrations == 3
    table.write_text(text)
    assert fast(table, out)[0].registrations == 7


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-1], lambda data: data[:-1] + b"x"]
)
def test_a_damaged_map_is_computed_again(tmp_path, fast, damage):
    table, out = write_images(tmp_path), tmp_path / "out"
    fast(table, out)
    path = out / "000004.npz"
    content = path.read_bytes()
    path.write_bytes(damage(content))
    registrar, errors = fast(table, out)
    assert registrar.registrations == 1 and not errors
    assert path.read_bytes() == content
    digest = hashlib.sha256(content).hexdigest()
    assert {row["map_sha256"] for row in read_scores(out)} == {digest}


def test_a_changed_line_of_the_scores_is_computed_again(tmp_path, fast):
    table, out = write_images(tmp_path), tmp_path / "out"
    fast(table, out)
    content = (out / "scores.csv").read_text()
    lines = content.splitlines(keepends=True)
    for change in ((",0.25,", ",0.99,"), (",7,", ",8,"), ("500", "1000")):
        text = lines[3].replace(*change, 1)
        assert text != lines[3]
        (out / "scores.csv").write_text("".join([*lines[:3], text, *lines[4:]]))
        assert fast(table, out)[0].registrations == 1
        assert (out / "scores.csv").read_text() == content


def test_a_row_with_an_unforeseen_exception_fails_alone(tmp_path, fast, monkeypatch):
    table, out = write_images(tmp_path, 3), tmp_path / "out"
    save = FastRegistrar.save

    def save_two(registrar, path):
        if path.name == "000001.npz":
            raise ZeroDivisionError("float division by zero")
        save(registrar, path)

    with monkeypatch.context() as changed:
        changed.setattr(FastRegistrar, "save", save_two)
        registrar, (error,) = fast(table, out)
    assert registrar.registrations == 3
    assert "row 000001 (line 3 of" in error
    assert "unforeseen ZeroDivisionError: float division by zero (test_register_table.py" in error
    assert [bool(row["fault"]) for row in read_scores(out)] == [False, True, False]
    assert fast(table, out)[0].registrations == 1  # it is tried again


def test_two_tables_at_once_into_one_folder(tmp_path, fast):
    table = write_images(tmp_path, 3)
    with sole_writer(tmp_path / "out"), pytest.raises(Misuse, match="another process writes into"):
        fast(table, tmp_path / "out")


def test_a_row_that_fails_late_has_no_map(tmp_path, fast, monkeypatch):
    table, out = write_images(tmp_path, 2), tmp_path / "out"

    def fail(*_):
        raise Fault("no thumbnail")

    monkeypatch.setitem(globals(), "touch", fail)
    _, errors = fast(table, out)
    assert len(errors) == 1 and "no thumbnail" in errors[0]
    assert not list(out.glob("*.npz"))


def test_an_image_that_is_replaced_while_it_is_registered_is_registered_again(tmp_path, fast):
    table, out = write_images(tmp_path, 2), tmp_path / "out"
    replace = FastRegistrar.register_impressions

    def replaced(self, a, b):
        (tmp_path / "0.png").write_bytes(b"another image")
        return replace(self, a, b)

    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(FastRegistrar, "register_impressions", replaced)
        fast(table, out)
    assert fast(table, out)[0].registrations == 1
    assert fast(table, out)[0].registrations == 0


def test_a_thumbnail_that_is_gone_comes_back(tmp_path, fast):
    table, out = write_images(tmp_path, 3), tmp_path / "out"
    fast(table, out)
    (out / "thumbnails/000001.jpg").unlink()
    assert fast(table, out)[0].registrations == 1
    assert len(list((out / "thumbnails").iterdir())) == 3


def test_another_method_version_reuses_nothing(tmp_path, fast, monkeypatch):
    table, out = write_images(tmp_path, 3), tmp_path / "out"
    fast(table, out)
    assert fast(table, out)[0].registrations == 0
    monkeypatch.setattr(method_version, "METHOD_VERSION", method_version.METHOD_VERSION + 1)
    with pytest.raises(Misuse, match="another checkpoint or version of the program"):
        fast(table, out)


@pytest.mark.parametrize("library", ["jax", "jaxlib", "numpy", "pillow", "opencv-python-headless"])
def test_another_version_of_a_library_reuses_nothing(tmp_path, fast, monkeypatch, library):
    table, out = write_images(tmp_path, 3), tmp_path / "out"
    fast(table, out)
    installed = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "0.0.1" if name == library else installed(name)
    )
    with pytest.raises(Misuse, match="another checkpoint or version of the program"):
        fast(table, out)
    (out / "scores.csv").unlink()
    assert fast(table, out)[0].registrations == 3
    assert fast(table, out)[0].registrations == 0


def test_scores_without_maps(tmp_path, fast):
    """A map of other inputs is removed."""
    table, out = write_images(tmp_path, 3), tmp_path / "out"
    fast(table, out, maps=False)
    assert [path.name for path in out.glob("[!.]*")] == ["scores.csv"]
    assert fast(table, out)[0].registrations == 3
    (tmp_path / "2.png").write_bytes(b"another image")
    assert fast(table, out, maps=False)[0].registrations == 2
    left = sorted(path.relative_to(out).as_posix() for path in out.rglob("[!.]*.*"))
    assert left == ["000000.npz", "scores.csv", "thumbnails/000000.jpg"]


def test_resolution_of_a_row(tmp_path, fast):
    write_images(tmp_path, 3)
    a, b, c = (str(tmp_path / f"{k}.png") for k in range(3))
    rows = [("a", "b", "ppi_b", "ppi_a"), (a, b, "", "1000"), (b, c, "250.5", "")]
    table = tmp_path / "some.csv"
    table.write_text("".join(",".join(row) + "\n" for row in rows))
    prepared = [
        ("0.png", (1000.0, "table")),
        ("1.png", (600.0, "option")),
        ("1.png", None),
        ("2.png", (250.5, "table")),
    ]
    assert fast(table, tmp_path / "out", None, by_option(600.0))[0].prepared == prepared
    columns = ("ppi_a", "ppi_a_source", "ppi_b", "ppi_b_source")
    assert [[row[name] for name in columns] for row in read_scores(tmp_path / "out")] == [
        ["1000", "table", "600", "option"],
        ["500", "tag: pHYs", "250.5", "table"],
    ]
    assert {row["notes"] for row in read_scores(tmp_path / "out")} == {
        "a: page 1 of 2; b: page 1 of 2; no map: too little in common"
    }


@pytest.mark.parametrize("ppi", ["many", "0", "nan", "-500"])
def test_invalid_resolution_is_refused(tmp_path, ppi):
    (tmp_path / "pairs.csv").write_text(f"a,b,ppi_a,ppi_b\nx,y,,500\n\nx,y,{ppi},\n")
    with pytest.raises(Misuse, match=rf"line 4: ppi_a is '{ppi}', expected 200 to 4000"):
        pair_table.read_pairs(tmp_path / "pairs.csv")


def test_error_names_the_line_of_the_file_with_blank_lines(tmp_path, fast):
    table = write_images(tmp_path, 3)
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, "", *rows, "", "", f"{tmp_path / 'gone.png'},x", ""]))
    assert f"row 000003 (line 8 of {table}): " in fast(table, tmp_path / "out")[1][0]


def test_invalid_file_name_fails_its_row_alone(tmp_path, fast):
    table = write_images(tmp_path, 3)
    table.write_text(table.read_text() + f"{tmp_path / '0.png'},x\0y\n")
    registrar, (error,) = fast(table, tmp_path / "out")
    assert registrar.registrations == 3
    assert "row 000003 (line 5 of" in error and "is not a file name" in error
    assert fast(table, tmp_path / "out")[0].registrations == 0


@pytest.mark.parametrize(
    "text",
    ["", "name,score\nx,1\n", "\x00", "row,a,b,score,matches,fault,inputs\n0,x,y,0.5,1,,ab\n"],
)
def test_scores_of_another_program_are_not_replaced(tmp_path, fast, text):
    table, out = write_images(tmp_path, 3), tmp_path / "out"
    out.mkdir()
    (out / "scores.csv").write_text(text)
    with pytest.raises(Misuse, match=r"scores\.csv: .*name another --out"):
        fast(table, out)
    assert (out / "scores.csv").read_text() == text


def test_missing_file_at_row_812_of_a_thousand(folder, tmp_path, monkeypatch):
    stand_in = functools.cache(lambda checkpoint, raw_size: (FastRegistrar(), FastRegistrar()))
    monkeypatch.setattr(register_table, "_load_registrar", stand_in)
    monkeypatch.setattr(table_page, "write_thumbnail", touch)
    rows = [("0.png", "gone.png" if k == 812 else "1.png") for k in range(1000)]
    rows[7:9] = [
        (touched(tmp_path / f"{k}_1.png"), touched(tmp_path / "102_1.png")) for k in (1, 2)
    ]
    table = write_table(tmp_path / "pairs.csv", folder, rows)
    arguments = ["--pairs", table, "--checkpoint", folder / "c.safetensors", "--workers", 1]
    result = CliRunner().invoke(
        main, ["register", *map(str, arguments), "--out", str(tmp_path / "results")]
    )
    assert result.exit_code == 1
    assert result.output.count("error: ") == result.output.count(UNCALIBRATED) == 1
    assert f"error: row 000812 (line 814 of {table}): {folder / 'gone.png'}" in result.output
    assert "results: 1 row failed; results are in scores.csv and index.html\n" in result.output
    assert (
        result.output.count("warning: 2 of 1,000 rows pair different fingers by their names") == 1
    )
    assert len(list((tmp_path / "results").glob("*.npz"))) == 999


def test_bytes_do_not_depend_on_the_number_of_processes(folder, tmp_path):
    """Two processes, whose tasks end at other rows, against one."""
    names = [(0, 1), (1, 0), (1, 2), (2, 0), (0, 2)]
    table = write_table(
        tmp_path / "pairs.csv", folder, [(f"{a}.png", f"{b}.png") for a, b in names]
    )
    results = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        checkpoint = folder / "c.safetensors"
        assert not register_table.register_table(checkpoint, table, out, workers=workers)
        results.append({path.name: path.read_bytes() for path in out.rglob("[!.]*.*")})
    assert len(results[0]) == 12
    assert results[0] == results[1]


def test_impressions_are_prepared_once_and_dropped_when_the_cache_is_full():
    prepared = []

    class Impression:
        prepared = type("SegmentedImage", (), {"image": np.zeros((10, 10))})

    def prepare(path, ppi):
        prepared.append(path)
        return Impression()

    impressions = ImpressionCache(prepare, CacheParameters(most_pixels=350))
    a, b, c, d = map(Path, "abcd")
    for path in (a, b, c) * 3:
        impressions.get(path, None)
    assert prepared == [a, b, c]
    impressions.get(d, None)  # one too many: drops a, the least recently used
    impressions.get(c, None)
    impressions.get(a, None)
    assert prepared == [a, b, c, d, a]
    impressions.get(a, by_option(1000.0))  # another resolution is another impression
    assert len(prepared) == 6


def test_an_impression_whose_file_changed_is_prepared_again(tmp_path, monkeypatch):
    class Impression:
        prepared = type("SegmentedImage", (), {"image": np.zeros((10, 10))})

    impressions = ImpressionCache(lambda path, ppi: Impression())
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(b"first")
    monkeypatch.chdir(tmp_path / "a")
    first = impressions.get(Path("x.png"), None)
    assert impressions.get(Path("x.png"), None) is first
    assert impressions.get(tmp_path / "a/x.png", None) is first
    monkeypatch.chdir(tmp_path / "b")
    assert impressions.get(Path("x.png"), None) is not first
    (tmp_path / "a/x.png").write_bytes(b"another")
    assert impressions.get(tmp_path / "a/x.png", None) is not first


@pytest.mark.parametrize("option", [["--no-maps"], ["--workers", "2"]])
def test_options_of_a_table_need_one(option):
    result = CliRunner().invoke(main, ["register", "a.png", "b.png", *option])
    assert result.exit_code == 2
    assert f"{option[0]} needs --pairs" in result.output


@pytest.mark.parametrize("text", ["", "a,b\n", "x,y\n1,2\n", "\x00"])
def test_unreadable_table_is_refused(tmp_path, text):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(Misuse, match=r"pairs\.csv"):
        pair_table.read_pairs(tmp_path / "pairs.csv")


def test_missing_table(tmp_path):
    with pytest.raises(Misuse, match="is not a readable table"):
        pair_table.read_pairs(tmp_path / "pairs.csv")
