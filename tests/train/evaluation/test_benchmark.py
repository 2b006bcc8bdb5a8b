"""The benchmark from sets of impressions to its files, by classical methods and maps of a tool."""

import csv
import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from prints import finger

from train.__main__ import main
from train.evaluation import colours, result_log
from train.evaluation.benchmark import (
    afis_minutiae,
    comparisons,
    entries,
    methods,
    opened_set,
    pair_facts,
)
from train.evaluation.benchmark.entries import MethodEntry, SetEntry
from train.evaluation.file_methods import NETWORK, FileResult

HEIGHT, WIDTH, SHIFT = 220, 200, 6


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two sets of three fingers with two impressions, their minutiae, and exact maps of "tool"."""
    root = tmp_path_factory.mktemp("benchmark")
    for name, seed in (("A", 1), ("B", 11)):
        images, maps = root / name, root / "tool" / name
        images.mkdir()
        maps.mkdir(parents=True)
        minutiae = {}
        for number in range(1, 4):
            image = finger(seed + number, HEIGHT, WIDTH)
            points = np.random.default_rng(seed + number).uniform(70, 130, (9, 2))
            for impression in (1, 2):
                shift = (impression - 1) * SHIFT
                cv2.imwrite(str(images / f"{number}_{impression}.png"), np.roll(image, shift, 1))
                moved = points + np.array([shift, 0])
                minutiae[f"{number}_{impression}.png"] = np.c_[moved, np.ones(9), np.ones(9)]
            write_map(maps / f"{number}_1__{number}_2.npz", 0.9)
        for a, b in ((1, 2), (1, 3), (2, 3)):
            write_map(maps / f"{a}_1__{b}_1.npz", 0.1)
        np.savez(root / f"{name}.npz", **minutiae)
    return root


def write_map(path, score):
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    np.savez(path, map_ab=np.stack([x + SHIFT, y], -1), score=np.float64(score))


@pytest.fixture(autouse=True)
def without_afis(monkeypatch):
    """The same with and without the package."""
    monkeypatch.setattr(afis_minutiae, "is_installed", lambda: False)


def call(root, out, *arguments, witness=True, names="AB"):
    sets = [text for name in names for text in ("--set", f"{name}={root / name}")]
    if witness:
        sets += [text for name in names for text in ("--minutiae", f"{name}={root / name}.npz")]
    everything = ["benchmark", *sets, "--out", str(out), "--workers", "1", *map(str, arguments)]
    return CliRunner().invoke(main, everything)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_sets_and_all_sets_by_every_method(root, tmp_path):
    done = call(root, tmp_path, "--method", "sift", "--method", f"maps:{root / 'tool'}")
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "benchmark.json").read_text())
    assert list(summary["metrics"]) == ["A", "B", "all"]
    assert summary["sets"]["A"] == {
        "folder": "A", "fingers": 3, "genuine": 3, "impostor": 3, "witness": "A.npz",
    }  # fmt: skip
    tool = summary["metrics"]["all"]["tool"]
    assert (tool["eer"], tool["tar_far1"], tool["zero_fmr"]) == (0, 1, 0)
    assert (tool["confirmed"], tool["aligned"]) == (1, 1)
    assert tool["mates"] < 0.05  # OpenCV interpolates in steps of 1/32 px
    assert tool["correlation"] > 0.9 > 0.3 > tool["correlation_impostor"]
    assert tool["bending"] == pytest.approx(0, abs=1e-6)
    assert summary["methods"]["tool"]["parameters"] is None
    assert summary["methods"]["SIFT + RANSAC"]["parameters"] == 0
    assert summary["metrics"]["all"]["rigid oracle"]["confirmed"] == 1
    assert "bozorth3_eer" not in tool
    rows = table(tmp_path / "comparisons.csv")
    assert len(rows) == 2 * 2 * 6
    assert {row["genuine"] for row in rows} == {"0", "1"}
    assert {row["set"] for row in table(tmp_path / "summary.csv")} == {"A", "B", "all"}
    groups = [row for row in table(tmp_path / "conditions.csv") if row["set"] == "all"]
    assert {row["group"].split()[0] for row in groups} == {
        "rotation", "overlap", "distortion", "quality",
    }  # fmt: skip
    page = (tmp_path / "benchmark.html").read_text()
    assert "All sets, one threshold for all" in page and "http" not in page.split("<body>")[1]


def test_a_second_call_computes_nothing_and_gives_the_same_bytes(root, tmp_path, monkeypatch):
    call(root, tmp_path, "--method", "sift", names="A")
    names = ("benchmark.json", "benchmark.html", "comparisons.csv", "conditions.csv")
    first = {name: (tmp_path / name).read_bytes() for name in names}

    def fail(*_):
        raise AssertionError("a finished comparison is made again")

    monkeypatch.setattr(comparisons, "_compare_all", fail)
    monkeypatch.setattr(comparisons, "_measure_facts", fail)
    assert call(root, tmp_path, "--method", "sift", names="A").exit_code == 0
    assert first == {name: (tmp_path / name).read_bytes() for name in names}


def test_a_further_method_compares_only_what_is_new(root, tmp_path, monkeypatch):
    call(root, tmp_path, "--method", "phase", names="A")
    compared = []
    compare = comparisons._compare_all
    monkeypatch.setattr(
        comparisons,
        "_compare_all",
        lambda job, tasks, stop: compared.append(job.entry.kind) or compare(job, tasks, stop),
    )
    call(root, tmp_path, "--method", "phase", "--method", "sift", names="A")
    assert set(compared) == {"sift"}


def test_failures_are_named_and_count_as_errors(root, tmp_path):
    """A missing and a damaged map, of two genuine pairs; the other rows are compared."""
    maps = tmp_path / "bad"
    maps.mkdir()
    for path in (root / "tool" / "A").iterdir():
        (maps / path.name).write_bytes(path.read_bytes())
    (maps / "1_1__1_2.npz").unlink()
    (maps / "2_1__2_2.npz").write_bytes(b"PK\x03\x04 no archive")
    done = call(root, tmp_path / "out", "--method", f"maps:{maps}", names="A")
    assert done.exit_code == 1
    assert "1_1.png × 1_2.png" in done.output and "2_1__2_2.npz" in done.output
    assert "Traceback" not in done.output
    metrics = json.loads((tmp_path / "out/benchmark.json").read_text())["metrics"]["A"]["bad"]
    assert metrics["failed"] == 2
    assert metrics["confirmed"] == pytest.approx(1 / 3)
    assert metrics["zero_fmr"] == pytest.approx(2 / 3)
    assert metrics["mates"] == comparisons.DEFAULT.lost_distance


def test_without_a_witness_its_columns_stay_empty(root, tmp_path):
    done = call(root, tmp_path, "--method", "sift", witness=False, names="A")
    assert done.exit_code == 0
    assert "A: no witness" in done.output and "no matchers" in done.output
    metrics = json.loads((tmp_path / "benchmark.json").read_text())["metrics"]["A"]
    assert list(metrics) == ["SIFT + RANSAC"]
    assert "confirmed" not in metrics["SIFT + RANSAC"]
    assert "eer" in metrics["SIFT + RANSAC"] and "correlation" in metrics["SIFT + RANSAC"]


def test_the_method_of_this_project_is_called_as_its_option():
    """And has the colour of the network in the other evaluations."""
    assert methods.label(MethodEntry(entries.OURS)) == entries.OURS
    assert colours.METHODS[entries.OURS] == colours.METHODS[NETWORK]


def test_a_damaged_network_is_found_before_the_work(root, tmp_path):
    (tmp_path / "c.safetensors").write_bytes(b"no network")
    options = ["--method", "sift", "--method", "ours", "--checkpoint", tmp_path / "c.safetensors"]
    done = call(root, tmp_path / "out", *map(str, options), names="A")
    assert done.exit_code == 1 and "damaged" in done.output
    assert not (tmp_path / "out").exists()


def test_what_a_set_holds_is_said(root, tmp_path):
    folder = tmp_path / "S"
    folder.mkdir()
    for name in ("7_1.png", "7_2.png", "8_1.jpg", "notes.txt", "8-2.png"):
        (folder / name).write_bytes(b"")
    arguments = ["benchmark", "--set", f"S={folder}", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, arguments)
    assert "S: 1 genuine pair, 0 impostor pairs; error rates need pairs of both" in done.output
    assert (
        "left out, not named FINGER_IMPRESSION.tif, .png or .bmp: 8-2.png, 8_1.jpg" in done.output
    )


def test_minutiae_are_compared_at_500_ppi(tmp_path):
    """Mates that differ by some px have as many px at 500 ppi in images of twice the resolution."""
    rng, facts, rows = np.random.default_rng(0), [], []
    image = finger(1, 300, 280)
    a = np.c_[rng.uniform(60, 220, (40, 2)), rng.uniform(-3, 3, 40), np.ones(40)]
    b = a + np.c_[rng.uniform(-8, 8, (40, 2)), np.zeros((40, 2))]
    for scale in (1, 2):
        folder = tmp_path / str(scale)
        folder.mkdir()
        size = (280 * scale, 300 * scale)
        stored = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        for name in ("1_1.png", "1_2.png"):
            cv2.imwrite(str(folder / name), stored)
        scaled = [np.c_[(m[:, :2] + 0.5) * scale - 0.5, m[:, 2:]] for m in (a, b)]
        np.savez(folder / "m.npz", **dict(zip(("1_1.png", "1_2.png"), scaled, strict=True)))
        opened = opened_set.OpenedSet(folder, folder / "m.npz", None)
        files = [opened.open(name) for name in ("1_1.png", "1_2.png")]
        facts.append(pair_facts.measure(*files, True))
        same_place = FileResult(1.0, lambda points: points)
        rows.append(comparisons._measure(*files, same_place, facts[-1]))
    assert 0.2 < facts[0]["oracle"] < 1
    assert facts[0]["oracle"] == facts[1]["oracle"]
    assert facts[0]["conditions"]["distortion"] == pytest.approx(
        facts[1]["conditions"]["distortion"], abs=1e-6
    )
    assert rows[0]["confirmed"] == rows[1]["confirmed"]
    assert np.allclose(rows[0]["mate_distances"], rows[1]["mate_distances"], atol=1e-3)


def test_without_methods_the_pairs_are_listed(root, tmp_path):
    done = call(root, tmp_path, names="A")
    assert done.exit_code == 0
    rows = table(tmp_path / "pairs/A.csv")
    assert len(rows) == 6 and list(rows[0]) == ["a", "b"]
    assert not (tmp_path / "benchmark.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "surf"], "expected one of ours, sift"),
        (["--method", "sift", "--method", "sift"], "SIFT + RANSAC occurs twice"),
        (["--method", "maps:nowhere"], "no such folder of maps"),
        (["--set", "A=x"], "occurs twice"),
        (["--set", "all=x"], "and not 'all'"),
        (["--set", "x"], "expected NAME=DIR"),
        (["--set", "C=nowhere", "--method", "sift"], "nowhere: no such folder"),
        (["--minutiae", "C=x"], "no such set"),
        (["--method", "minutiae-tps"], "install the extra 'benchmark'"),
        (["--method", "ours", "--checkpoint", "nowhere"], "no such network"),
    ],
)
def test_wrong_use_is_explained(root, tmp_path, arguments, message):
    done = call(root, tmp_path, *arguments, names="A")
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SIFT + RANSAC", "SIFT + RANSAC occurs twice"),
        ("rigid oracle", "cannot be called 'rigid oracle'"),
        ("before registration", "cannot be called 'before registration'"),
        ("ours", "cannot be called 'ours'"),
        ("empty", "empty: holds no map; expected .npz files"),
    ],
)
def test_a_folder_of_maps_has_a_name_of_its_own(root, tmp_path, name, message):
    (tmp_path / name).mkdir()
    maps = f"maps:{tmp_path / name}"
    done = call(root, tmp_path / "out", "--method", "sift", "--method", maps, names="A")
    assert done.exit_code == 2
    assert message in done.output


def test_results_depend_on_network_maps_and_version(root, tmp_path, monkeypatch):
    network = tmp_path / "n.safetensors"
    network.write_bytes(b"1")

    def inputs(kind, folder=None):
        job = methods.Job(MethodEntry(kind, folder), SetEntry("A", root / "A"), True, network,
                          None, None)  # fmt: skip
        return result_log.path(tmp_path, methods.describe_inputs(job)).name

    ours, classical = inputs(entries.OURS), inputs(entries.SIFT)
    network.write_bytes(b"2")
    assert inputs(entries.OURS) != ours and inputs(entries.SIFT) == classical
    maps = tmp_path / "maps"
    maps.mkdir()
    before = inputs(entries.MAPS, maps)
    write_map(maps / "1_1__1_2.npz", 0.5)
    assert inputs(entries.MAPS, maps) != before
    monkeypatch.setitem(methods.VERSIONS, entries.SIFT, 99)
    assert inputs(entries.SIFT) != classical
