"""Synthetic fingers synthesized while their shards are built: the same pairs as from files."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline import catalog
from pipeline.__main__ import main
from pipeline.building import worker
from pipeline.building.build import BuildOptions, build
from pipeline.imaging.warp import IDENTITY, Warp
from pipeline.sources import generated
from pipeline.spec import PipelineSpec
from pipeline.synthesis import generate, write
from pipeline.synthesis.generate import SyntheticImpression
from shards import record, store
from shards.foundation.errors import Fault, Misuse
from shards.verify.verify import verify

PARTITION = "synthetic/few"
FILES = PipelineSpec(different_impressions=1, elastic=3.0, translation=8.0, pairs_per_shard=12)
SPEC = dataclasses.replace(FILES, fingers=5, impressions=2, finger_seed=5)


def build_set(out, spec=SPEC, data=(), warn=lambda _: None, **options):
    selection, _ = catalog.select_impressions(data, (PARTITION,), spec)
    return build(spec, selection, out, BuildOptions(**{"workers": 1, **options}), warn)


def shards_of(out):
    return {path.name: path.read_bytes() for path in sorted(out.rglob("*.arrayrecord"))}


@pytest.fixture(scope="module")
def generated_set(tmp_path_factory):
    """A shard set built without image files."""
    out = tmp_path_factory.mktemp("generated")
    build_set(out)
    return out


@pytest.fixture
def master_addresses(monkeypatch):
    """The addresses of the masters that are asked for; no master is synthesized."""
    addresses = []
    monkeypatch.setattr(generate, "synthesize_master", lambda *address: addresses.append(address))
    generated.synthesize_master.cache_clear()
    yield addresses
    generated.synthesize_master.cache_clear()


def blank_impression(*address, **styles):
    return SyntheticImpression(np.full((300, 300), 254, np.uint8), Warp(IDENTITY), "none", {})


def test_shards_are_equal_to_those_from_files(generated_set, tmp_path):
    """Pixels, maps, names, order and splits: no byte differs."""
    write.write_set(tmp_path / "data", 5, 2, 5, 1, "few")
    build_set(tmp_path / "out", FILES, [tmp_path / "data"])
    assert shards_of(tmp_path / "out") == shards_of(generated_set)
    counts = store.load_manifest(generated_set).partitions[PARTITION].counts
    assert sum(by["genuine-impressions"] for by in counts.values()) == 10
    assert list(verify(generated_set, "deep", 1)) == []
    assert len({impression.ppi for impression in generated.list_impressions(PARTITION, SPEC)}) > 2


def test_images_of_a_record_are_synthesized_again_by_their_ids(generated_set):
    """The image_ids of a pair lead to one finger and to the generator's image of B."""
    shards = store.open_set(generated_set)
    pairs = map(record.decode, shards.read("train", range(shards.count("train"))))
    pair = next(p for p in pairs if p.kind == "genuine-impressions")
    by_id = {i.image_id: i for i in generated.list_impressions(PARTITION, SPEC)}
    a, b = (by_id[name] for name in (pair.image_id_a, pair.image_id_b))
    assert a.finger == b.finger == pair.finger_a and a.generator_address[1] == b.generator_address[
        1
    ] == int(a.finger[-5:])
    master = generate.synthesize_master(5, PARTITION, a.generator_address[1])
    again = generate.synthesize_impression(master, 5, PARTITION, *b.generator_address[1:])
    assert np.array_equal(generated.synthesize(b)[0], again.image)


def test_more_workers_give_the_same_bytes_and_a_rerun_builds_nothing(generated_set, tmp_path):
    build_set(tmp_path, workers=2)
    assert shards_of(tmp_path) == shards_of(generated_set)
    assert (tmp_path / "manifest.json").read_bytes() == (
        generated_set / "manifest.json"
    ).read_bytes()
    report = build_set(tmp_path)
    assert report.finished_before == len(report.entries) == len(shards_of(generated_set))


def test_each_master_is_synthesized_once(master_addresses, monkeypatch, tmp_path):
    monkeypatch.setattr(generate, "synthesize_impression", blank_impression)
    build_set(tmp_path / "none", skip_bad=True)
    assert sorted(master_addresses) == [(5, PARTITION, k) for k in range(5)]


def test_an_impression_without_foreground_is_reported_or_skipped(
    master_addresses, monkeypatch, tmp_path
):
    monkeypatch.setattr(generate, "synthesize_impression", blank_impression)
    with pytest.raises(Fault, match=r"synthetic/few/00000_0: no foreground"):
        build_set(tmp_path)
    assert len(build_set(tmp_path, skip_bad=True).bad) == 10
    first = json.loads((tmp_path / "quarantine.jsonl").read_text().splitlines()[0])
    assert first["image_id"] == first["path"] == "synthetic/few/00000_0"


def test_another_generator_version_changes_all_images(master_addresses, monkeypatch, tmp_path):
    monkeypatch.setattr(generate, "synthesize_impression", blank_impression)
    build_set(tmp_path, skip_bad=True)
    monkeypatch.setattr(write, "VERSION", write.VERSION + 1)
    messages = []
    assert build_set(tmp_path, skip_bad=True, warn=messages.append).finished_before == 0
    assert "synthetic/few: images 10 changed" in messages[0]


@pytest.mark.parametrize("other", [{"fingers": 6}, {"impressions": 3}, {"finger_seed": 6}])
def test_other_fingers_are_other_settings(master_addresses, monkeypatch, tmp_path, other):
    monkeypatch.setattr(generate, "synthesize_impression", blank_impression)
    build_set(tmp_path, skip_bad=True)
    with pytest.raises(Fault, match=rf"built with other settings: {next(iter(other))} was"):
        build_set(tmp_path, dataclasses.replace(SPEC, **other), skip_bad=True)


def test_a_set_from_files_keeps_its_settings():
    fields = ("fingers", "impressions", "finger_seed")
    assert not set(fields) & set(worker.shard_settings(FILES))
    assert set(fields) <= set(worker.shard_settings(SPEC))


def test_the_command_needs_no_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["build", "--out", "out", "--partition", PARTITION, "--dry-run", "--workers=1"]
    no_fingers = CliRunner().invoke(main, arguments)
    assert no_fingers.exit_code == 1 and "pipeline.fingers=1000" in no_fingers.output
    numbers = ["--set", "pipeline.fingers=1000", "--set", "pipeline.impressions=6"]
    result = CliRunner().invoke(main, [*arguments, *numbers])
    assert result.exit_code == 0 and "6,000" in result.output
    assert not (tmp_path / "out").exists()
    assert "about 0:07:36" in result.output  # 36 s without the synthesis
    odd = CliRunner().invoke(
        main, ["build", "--out", "out", "--partition", "synthetic/a b", *numbers]
    )
    assert odd.exit_code == 2 and "expected synthetic/NAME" in odd.output
    many = CliRunner().invoke(main, [*arguments, "--set", "pipeline.fingers=100000"])
    assert many.exit_code == 2 and "fingers: 100000 is out of range" in many.output


def test_other_partitions_are_searched_in_files(tmp_path):
    with pytest.raises(Fault, match="no data set found"):
        catalog.select_impressions([tmp_path], (PARTITION, "fvc2002/db1_a"), SPEC)
    with pytest.raises(Misuse, match="no data set has such a partition"):
        catalog.select_impressions([tmp_path], (PARTITION, "fvc2002/db1"), SPEC)
    assert not generated.is_generated("fvc2002/db1_a", SPEC) and not generated.is_generated(
        PARTITION, FILES
    )
