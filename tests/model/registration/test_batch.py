"""A table of pairs: every row answered or named, whatever fails and whoever works."""

import csv
import functools

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from prints import finger
from safetensors.numpy import save_file

from model.__main__ import main
from model.network import weights
from model.network.config import ModelConfig
from model.network.net import create
from model.registration import batch, pair_table
from model.registration.calibration import UNCALIBRATED
from shards.foundation.errors import Fault, Misuse

CONFIG = ModelConfig(
    image_size=32, stride=8, stem_channels=2, stage_channels=(2, 2, 2), blocks=1, width=8,
    layers=0, heads=2, mlp=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three prints, an empty image and an untrained checkpoint."""
    root = tmp_path_factory.mktemp("pairs")
    for k in range(3):
        cv2.imwrite(str(root / f"{k}.png"), finger(k, 190, 180))
    cv2.imwrite(str(root / "blank.png"), np.full((200, 200), 255, np.uint8))
    values = {k: np.asarray(v) for k, v in weights.tensors(nnx.state(create(CONFIG, 0))).items()}
    save_file(
        values, root / "c.safetensors", weights.metadata(CONFIG, weights.CropGeometry(288, 32, 4))
    )
    return root


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nothing is kept in the home of whoever runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def table_of(path, folder, rows):
    path.write_text("a,b\n" + "".join(f"{folder / a},{folder / b}\n" for a, b in rows))
    return path


def test_what_fails_is_named_by_its_row_and_the_others_are_kept(folder, tmp_path):
    rows = [("0.png", "1.png"), ("0.png", "gone.png"), ("blank.png", "1.png"), ("1.png", "1.png")]
    given = table_of(tmp_path / "pairs.csv", folder, [*rows, ("2.png", "0.png")])
    out = tmp_path / "answers"
    out.mkdir()
    (out / "000001.npz").write_bytes(b"stale")
    faults = batch.register_pairs(folder / "c.safetensors", given, out)
    assert sorted(p.name for p in out.iterdir()) == ["000000.npz", "000004.npz", "scores.csv"]
    assert [fault.split(" (")[0] for fault in faults] == [f"row 00000{k}" for k in (1, 2, 3)]
    assert "(line 3 of" in faults[0]
    for fault, said in zip(
        faults, ("gone.png", "blank.png: no foreground", "both A and B"), strict=True
    ):
        assert said in fault
    with np.load(out / "000004.npz") as answer:
        assert answer["map_ab"].shape == (190, 180, 2)
        assert answer["matches"].shape[1] == 5
        assert 0 <= float(answer["score"]) <= 1
        scores = scores_of(out)
        assert float(scores[4]["score"]) == pytest.approx(float(answer["score"]), rel=1e-5)
        assert int(scores[4]["matches"]) == len(answer["matches"])
    assert [row["row"] for row in scores] == list("01234")
    assert [bool(row["fault"]) for row in scores] == [False, True, True, True, False]
    assert [row["a"] for row in scores] == [str(folder / f"{a}") for a, _ in [*rows, ("2.png", 0)]]


def scores_of(out):
    with (out / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class Quick:
    """Stands in for the network and the prints that are kept: every image there is opens.

    Stops after `most` registrations.
    """

    score, matches = 0.25, np.zeros((7, 5))

    def __init__(self, most=10**6):
        self.most, self.opened, self.made = most, [], 0

    def open(self, path, ppi):
        if not path.exists():
            raise Fault(f"{path}: cannot be read")
        self.opened.append((path.name, ppi))
        return path

    def register_impressions(self, a, b):
        if self.made == self.most:
            raise KeyboardInterrupt
        self.made += 1
        return self

    def save(self, path):
        path.touch()


@pytest.fixture
def quick(monkeypatch):
    """Register a table with a new stand-in, which is returned, and the faults."""

    def run(given, out, *more, most=10**6, workers=1, **options):
        one = Quick(most)
        monkeypatch.setattr(batch, "_ready", functools.cache(lambda checkpoint: (one, one)))
        checkpoint = given.with_name("checkpoint")
        checkpoint.touch()
        return one, batch.register_pairs(checkpoint, given, out, *more, workers=workers, **options)

    return run


def images(root, count=5):
    for k in range(count):
        (root / f"{k}.png").write_bytes(bytes([k]))
    return table_of(
        root / "pairs.csv", root, [(f"{a}.png", f"{b}.png") for b in range(count) for a in range(b)]
    )


def test_killed_table_goes_on_where_it_was(tmp_path, quick):
    """Also with a line that was cut off while it was written."""
    given, whole, out = images(tmp_path), tmp_path / "whole", tmp_path / "out"
    assert quick(given, whole)[0].made == 10
    with pytest.raises(KeyboardInterrupt):
        quick(given, out, most=7)
    assert len(scores_of(out)) == 7
    with (out / "scores.csv").open("a") as file:
        file.write(f"7,{tmp_path / '1.png'},{tmp_path / '4.png'},0.25,7,,01")
    assert quick(given, out)[0].made == 3
    assert (out / "scores.csv").read_bytes() == (whole / "scores.csv").read_bytes()
    assert quick(given, out, workers=2)[0].made == 0
    assert (out / "scores.csv").read_bytes() == (whole / "scores.csv").read_bytes()


def test_done_again_is_what_rests_on_other_inputs(tmp_path, quick):
    given, out = images(tmp_path), tmp_path / "out"
    quick(given, out)
    (tmp_path / "4.png").write_bytes(b"another image")
    assert quick(given, out)[0].made == 4
    (out / "000002.npz").unlink()
    assert quick(given, out)[0].made == 1
    (tmp_path / "0.png").unlink()
    one, faults = quick(given, out)
    assert one.made == 0 and len(faults) == 4
    (tmp_path / "0.png").write_bytes(bytes([0]))
    assert quick(given, out)[0].made == 4  # what failed is tried again
    assert quick(given, out, 1000.0)[0].made == 10  # another resolution
    (tmp_path / "checkpoint").write_bytes(b"another network")
    assert quick(given, out, 1000.0)[0].made == 10
    given.write_text("\n".join(given.read_text().splitlines()[:4]))
    assert quick(given, out, 1000.0)[0].made == 0
    assert len(scores_of(out)) == 3


def test_scores_without_maps(tmp_path, quick):
    """A map of other inputs does not stay beside the scores of these."""
    given, out = images(tmp_path, 3), tmp_path / "out"
    quick(given, out, maps=False)
    assert [path.name for path in out.iterdir()] == ["scores.csv"]
    assert quick(given, out)[0].made == 3
    (tmp_path / "2.png").write_bytes(b"another image")
    assert quick(given, out, maps=False)[0].made == 2
    assert sorted(path.name for path in out.iterdir()) == ["000000.npz", "scores.csv"]


def test_resolution_of_a_row(tmp_path, quick):
    images(tmp_path, 3)
    given = tmp_path / "some.csv"
    lines = [("a", "b", "ppi_b", "ppi_a"), ("0", "1", "", "1000"), ("1", "2", "250.5", "")]
    table_rows = [
        [*(str(tmp_path / f"{n}.png") for n in row[:2]), *row[2:]] if k else row
        for k, row in enumerate(lines)
    ]
    given.write_text("".join(",".join(row) + "\n" for row in table_rows))
    opened = [("0.png", 1000.0), ("1.png", 600.0), ("1.png", None), ("2.png", 250.5)]
    assert quick(given, tmp_path / "out", None, 600.0)[0].opened == opened


@pytest.mark.parametrize("ppi", ["many", "0", "nan", "-500"])
def test_resolution_that_is_none(tmp_path, ppi):
    (tmp_path / "pairs.csv").write_text(f"a,b,ppi_a,ppi_b\nx,y,,500\n\nx,y,{ppi},\n")
    with pytest.raises(Misuse, match=rf"line 4: ppi_a is '{ppi}', expected 50 to 10000"):
        pair_table.read_pairs(tmp_path / "pairs.csv")


def test_line_of_the_file_is_named_where_some_are_blank(tmp_path, quick):
    given = images(tmp_path, 3)
    head, *rows = given.read_text().splitlines()
    given.write_text("\n".join([head, "", *rows, "", "", f"{tmp_path / 'gone.png'},x", ""]))
    assert f"row 000003 (line 8 of {given}): " in quick(given, tmp_path / "out")[1][0]


def test_name_that_is_none_ends_its_row_alone(tmp_path, quick):
    given = images(tmp_path, 3)
    given.write_text(given.read_text() + f"{tmp_path / '0.png'},x\0y\n")
    one, (fault,) = quick(given, tmp_path / "out")
    assert one.made == 3
    assert "row 000003 (line 5 of" in fault and "can be no file's name" in fault
    assert quick(given, tmp_path / "out")[0].made == 0


@pytest.mark.parametrize("text", ["", "name,score\nx,1\n", "\x00"])
def test_scores_of_another_program_are_not_replaced(tmp_path, quick, text):
    given, out = images(tmp_path, 3), tmp_path / "out"
    out.mkdir()
    (out / "scores.csv").write_text(text)
    with pytest.raises(Misuse, match=r"scores\.csv: .*name another --out"):
        quick(given, out)
    assert (out / "scores.csv").read_text() == text


def test_missing_file_at_row_812_of_a_thousand(folder, tmp_path, monkeypatch):
    stand_in = functools.cache(lambda checkpoint: (Quick(), Quick()))
    monkeypatch.setattr(batch, "_ready", stand_in)
    rows = [("0.png", "gone.png" if k == 812 else "1.png") for k in range(1000)]
    given = table_of(tmp_path / "pairs.csv", folder, rows)
    arguments = ["--pairs", given, "--checkpoint", folder / "c.safetensors", "--workers", 1]
    result = CliRunner().invoke(
        main, ["register", *map(str, arguments), "--out", str(tmp_path / "answers")]
    )
    assert result.exit_code == 1
    assert result.output.count("error: ") == result.output.count(UNCALIBRATED) == 1
    assert f"error: row 000812 (line 814 of {given}): {folder / 'gone.png'}" in result.output
    assert len(list((tmp_path / "answers").glob("*.npz"))) == 999


def test_same_bytes_whatever_the_processes(folder, tmp_path):
    """Two processes, whose runs of rows end elsewhere, against this one."""
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        names = [(0, 1), (1, 0), (1, 2), (2, 0), (0, 2)]
        csv.writer(file).writerows(
            [("a", "b"), *((folder / f"{a}.png", folder / f"{b}.png") for a, b in names)]
        )
    answers = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        assert not batch.register_pairs(
            folder / "c.safetensors", tmp_path / "pairs.csv", out, workers=workers
        )
        answers.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert len(answers[0]) == 6
    assert answers[0] == answers[1]


def test_prints_are_opened_once_and_not_all_kept(folder):
    opened = []

    class Print:
        prepared = type("Prepared", (), {"image": np.zeros((10, 10))})

    def open_file(path, ppi):
        opened.append(path)
        return Print()

    prints = batch.Prints(open_file, most=350)
    for name in "abcabcabc":
        prints.open(name, None)
    assert opened == ["a", "b", "c"]
    prints.open("d", None)  # one too many: a, the longest unused, goes
    prints.open("c", None)
    prints.open("a", None)
    assert opened == ["a", "b", "c", "d", "a"]
    prints.open("a", 1000.0)  # another resolution is another print
    assert len(opened) == 6


@pytest.mark.parametrize("text", ["", "a,b\n", "x,y\n1,2\n", "\x00"])
def test_table_that_is_none(tmp_path, text):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(Misuse, match=r"pairs\.csv"):
        pair_table.read_pairs(tmp_path / "pairs.csv")


def test_missing_table(tmp_path):
    with pytest.raises(Misuse, match="no readable table"):
        pair_table.read_pairs(tmp_path / "pairs.csv")
