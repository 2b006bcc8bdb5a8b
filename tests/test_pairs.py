"""A table of pairs: every row answered or named, whatever fails and whoever works."""

import csv

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from prints import finger
from safetensors.numpy import save_file

from model import pairs, weights
from model.__main__ import main
from model.config import ModelConfig
from model.net import create
from shards.errors import Fault, Misuse

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
    save_file(values, root / "c.safetensors", weights.metadata(CONFIG, weights.View(288, 32, 4)))
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
    table = table_of(tmp_path / "pairs.csv", folder, [*rows, ("2.png", "0.png")])
    out = tmp_path / "answers"
    out.mkdir()
    (out / "000001.npz").write_bytes(b"stale")
    faults = pairs.register_pairs(folder / "c.safetensors", table, out)
    assert sorted(p.name for p in out.iterdir()) == ["000000.npz", "000004.npz"]
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


class Quick:
    """Stands in for the network and the prints that are kept: every image there is opens."""

    def open(self, path, ppi):
        if not path.exists():
            raise Fault(f"{path}: cannot be read")
        return path

    def register_prints(self, a, b):
        return self

    def save(self, path):
        path.parent.mkdir(exist_ok=True)
        path.touch()


def test_missing_file_at_row_812_of_a_thousand(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "_ready", lambda checkpoint: (Quick(), Quick()))
    rows = [("0.png", "gone.png" if k == 812 else "1.png") for k in range(1000)]
    table = table_of(tmp_path / "pairs.csv", folder, rows)
    arguments = ["--pairs", table, "--checkpoint", folder / "c.safetensors", "--workers", 1]
    result = CliRunner().invoke(
        main, ["register", *map(str, arguments), "--out", str(tmp_path / "answers")]
    )
    assert result.exit_code == 1
    assert result.output.count("error: ") == 1
    assert f"error: row 000812 (line 814 of {table}): {folder / 'gone.png'}" in result.output
    assert len(list((tmp_path / "answers").iterdir())) == 999


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
        assert not pairs.register_pairs(
            folder / "c.safetensors", tmp_path / "pairs.csv", out, workers=workers
        )
        answers.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert len(answers[0]) == 5
    assert answers[0] == answers[1]


def test_prints_are_opened_once_and_not_all_kept(folder):
    opened = []

    class Print:
        prepared = type("Prepared", (), {"image": np.zeros((10, 10))})

    def open_file(path, ppi):
        opened.append(path)
        return Print()

    prints = pairs.Prints(open_file, most=350)
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
        pairs.read_table(tmp_path / "pairs.csv")


def test_missing_table(tmp_path):
    with pytest.raises(Misuse, match="no readable table"):
        pairs.read_table(tmp_path / "pairs.csv")
