"""The FVC protocol: which comparisons, and what becomes of their scores."""

import numpy as np
import pytest
from test_architecture import imports

from shards.foundation.errors import Fault, Misuse
from train.evaluation import fvc
from train.evaluation.file_methods import Answer
from train.evaluation.result_log import Ledger

FACTS = {"checkpoint_sha256": "1", "ppi": None}


class Compare:
    """Stands in for the methods: scores by the names; 9_1.png is no finger; stops after `most`."""

    def __init__(self, most=10**6):
        self.most, self.made = most, 0

    def __call__(self, a, b):
        self.made += 1
        if self.made > self.most:
            raise KeyboardInterrupt
        for path in (a, b):
            if path.name == "9_1.png":
                raise Fault(f"{path}: no foreground")
        same = a.name[0] == b.name[0]
        return {
            "network": Answer(0.9 if same else 0.1, lambda points: points + np.array([3.0, 0.0])),
            "other": Answer(float(a.name[2]), lambda points: points * np.nan),
        }


def folder(root, fingers, count=3):
    root.mkdir(exist_ok=True)
    for finger in fingers:
        for k in range(1, count + 1):
            (root / f"{finger}_{k}.png").touch()
    (root / "readme.txt").touch()
    return root


def test_comparisons_of_the_protocol(tmp_path):
    """100 fingers × 8 impressions: 2,800 genuine and 4,950 impostor comparisons."""
    found = fvc.comparisons(fvc.impressions(folder(tmp_path, range(1, 101), 8)))
    assert sum(genuine for _, _, genuine in found) == 2800
    impostors = [(a, b) for a, b, genuine in found if not genuine]
    assert len(set(impostors)) == 4950
    assert {path.stem.split("_")[1] for pair in impostors for path in pair} == {"1"}


def test_first_impression_is_by_number_not_by_name(tmp_path):
    for k in (10, 2):
        (tmp_path / f"5_{k}.TIF").touch()
    assert [p.name for p in fvc.impressions(tmp_path)["5"]] == ["5_2.TIF", "5_10.TIF"]


def test_hidden_files_are_no_fingers(tmp_path):
    """As macOS leaves them beside every file on a disk of another system."""
    files = folder(tmp_path, [1], 2)
    (files / "._1_1.png").touch()
    assert [p.name for p in fvc.impressions(files)["1"]] == ["1_1.png", "1_2.png"]
    assert set(fvc.impressions(files)) == {"1"}


@pytest.mark.parametrize("copy", ["1_1.TIF", "1_01.png"])
def test_an_impression_that_is_there_twice_is_named(tmp_path, copy):
    files = folder(tmp_path, [1, 2], 2)
    (files / copy).touch()
    with pytest.raises(Misuse, match="one impression") as fault:
        fvc.impressions(files)
    assert f"{copy} and" in str(fault.value) or f"and {copy}" in str(fault.value)
    assert "1_1.png" in str(fault.value)


def test_every_comparison_is_scored_by_every_method(tmp_path):
    found = fvc.run(folder(tmp_path, [1, 2, 3]), Compare(), tmp_path, FACTS)
    assert len(found.rows) == 12
    assert found.genuine.sum() == 9
    np.testing.assert_array_equal(found.scores["network"], np.where(found.genuine, 0.9, 0.1))
    figures = found.figures()
    for name in ("eer", "eer_low", "eer_high", "zero_fmr", "fmr100", "fmr1000"):
        assert figures["network"][name] == 0
    assert figures["network"]["auc_low"] == 1
    assert figures["other"]["eer"] > 0.3


def test_what_cannot_be_opened_is_named_and_the_rest_is_done(tmp_path):
    found = fvc.run(folder(tmp_path, [1, 2, 9], 2), Compare(), tmp_path, FACTS)
    assert len(found.rows) == 6
    assert len(found.faults) == 3
    assert "9_1.png" in found.faults[0]
    assert np.isneginf(found.scores["network"]).sum() == 3
    assert found.figures()["network"]["zero_fmr"] == pytest.approx(1 / 3)  # refused, not left out


def test_interrupted_work_goes_on_where_it_was(tmp_path):
    """Also with a line that was cut off while it was written."""
    files = folder(tmp_path, [1, 2, 3])
    with pytest.raises(KeyboardInterrupt):
        fvc.run(files, Compare(5), tmp_path, FACTS)
    ledger = tmp_path / fvc.LEDGER
    assert len(ledger.read_bytes().splitlines()) == 1 + 5
    with ledger.open("ab") as file:
        file.write(b'{"a": "1_1.png", "b": "3_')
    compare = Compare()
    found = fvc.run(files, compare, tmp_path, FACTS)
    assert compare.made == 7
    whole = fvc.run(files, Compare(), folder(tmp_path / "x", []), FACTS)
    assert found.rows == whole.rows
    again = Compare()
    fvc.run(files, again, tmp_path, FACTS)
    assert again.made == 0


def test_answers_of_another_checkpoint_are_not_mixed_in(tmp_path):
    files = folder(tmp_path, [1, 2])
    fvc.run(files, Compare(), tmp_path, FACTS)
    before = (tmp_path / fvc.LEDGER).read_bytes()
    with pytest.raises(Misuse, match="another checkpoint_sha256; name another --out"):
        fvc.run(files, Compare(), tmp_path, FACTS | {"checkpoint_sha256": "2"})
    assert (tmp_path / fvc.LEDGER).read_bytes() == before


def test_damaged_ledger_is_named(tmp_path):
    (tmp_path / fvc.LEDGER).write_bytes(b"[1]\n")
    with pytest.raises(Fault, match=r"answers\.jsonl: has a line that is no row"):
        Ledger(tmp_path / fvc.LEDGER, FACTS)
    (tmp_path / fvc.LEDGER).write_bytes(b"\x00\xff\n")
    with pytest.raises(Fault, match="damaged line"):
        Ledger(tmp_path / fvc.LEDGER, FACTS)


def test_program_that_answers_is_all_that_is_imported():
    """A change of a file that is not named would go unseen, and old answers pass as current."""
    todo, imported = ["train.evaluation.file_methods", "train.evaluation.reference_minutiae"], set()
    while todo:
        path = fvc.ROOT / f"{todo.pop().replace('.', '/')}.py"
        if path.is_file() and path not in imported:
            imported.add(path)
            names = imports(path)  # pipeline.imaging.warp.Array: of a file, or a file
            todo += [*names, *(name.rpartition(".")[0] for name in names)]
    named = {path for pattern in fvc.PROGRAM for path in fvc.ROOT.glob(pattern)}
    below = {path for path in imported if path.parent.name == "shards"}  # errors, processes
    assert imported - below <= named
    assert all(list(fvc.ROOT.glob(pattern)) for pattern in fvc.PROGRAM)


def test_facts_change_with_images_checkpoint_and_witness(tmp_path):
    files, checkpoint = folder(tmp_path, [1, 2]), tmp_path / "c"
    checkpoint.write_bytes(b"1")
    first = fvc.describe(files, checkpoint, None, None)
    (files / "2_1.png").write_bytes(b"another image")
    second = fvc.describe(files, checkpoint, None, checkpoint)
    checkpoint.write_bytes(b"2")
    third = fvc.describe(files, checkpoint, 500.0, checkpoint)
    assert {k for k in first if first[k] != second[k]} == {"images_sha256", "minutiae_sha256"}
    assert {k for k in second if second[k] != third[k]} == {
        "checkpoint_sha256", "minutiae_sha256", "ppi",
    }  # fmt: skip


def test_witness_confirms_what_it_should(tmp_path):
    """Minutiae of B lie where A's do, and the network errs by 3 px; the other method says nothing.

    One in four minutiae of B points elsewhere, and confirms nothing.
    """
    files = folder(tmp_path, [1, 2], 2)
    rng = np.random.default_rng(0)
    of_finger = {k: np.c_[rng.permutation(20) * 25.0, rng.permutation(20) * 25.0] for k in "12"}
    minutiae = {}
    for path in files.glob("*.png"):
        points = of_finger[path.name[0]]
        direction = np.where(np.arange(20) % 4 == 0, 1.0 if path.name[2] == "2" else 0.0, 0.5)
        minutiae[path.name] = np.c_[points, direction, np.ones(20)]
    found = fvc.run(files, Compare(), tmp_path, FACTS, minutiae)
    figures = found.figures()
    assert figures["network"]["confirmed"] == pytest.approx(0.75)
    assert figures["network"]["residual"] == pytest.approx(3)
    assert figures["network"]["aligned"] == 1
    assert figures["other"]["confirmed"] == figures["other"]["aligned"] == 0
    assert np.isnan(figures["other"]["residual"])
    assert figures["rigid oracle"]["confirmed"] == 0.75
    assert figures["rigid oracle"]["eer"] == 0
    assert figures["rigid oracle"]["residual"] == pytest.approx(0, abs=1e-3)


def test_folder_without_impressions(tmp_path):
    with pytest.raises(Misuse, match="no impressions"):
        fvc.impressions(tmp_path)
    with pytest.raises(Misuse, match="no such folder"):
        fvc.impressions(tmp_path / "none")
