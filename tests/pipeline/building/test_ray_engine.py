"""Ray engine, on two simulated machines; its message where Ray is not installed."""

import dataclasses
import importlib.util
import threading
import time
from types import SimpleNamespace

import cv2
import pytest
from click.testing import CliRunner
from prints import finger
from set_files import content

import configs
from pipeline import catalog
from pipeline.__main__ import main
from pipeline.building.build import BuildOptions, build
from shards import manifest
from shards.foundation.errors import Fault, Misuse

PARTITION = "fvc2002/db1_b"
SPEC = dataclasses.replace(configs.load().pipeline, pairs_per_shard=8)
INSTALLED = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not INSTALLED, reason="the extra ray is not installed")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "DB1_B"
    root.mkdir()
    for number in range(101, 111):
        for k in range(1, 9):
            image = finger([number, k], 190, 180)
            cv2.imwrite(str(root / f"{number}_{k}.tif"), image)
    return root.parent


def build_set(images, out, engine="ray", workers=None):
    selection = catalog.discover([images]).select([PARTITION])
    return build(SPEC, selection, out, BuildOptions(workers, engine=engine))


@pytest.fixture(scope="module")
def complete_set(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("complete_set")
    build_set(images, out, "local", 1)
    return content(out)


@pytest.mark.skipif(INSTALLED, reason="the extra ray is installed")
def test_message_without_ray(images, tmp_path):
    with pytest.raises(Misuse, match="EXTRAS=ray make shards ENGINE=ray"):
        build_set(images, tmp_path)
    arguments = ["build", "--out", str(tmp_path), "--data", str(images), "--engine", "ray"]
    result = CliRunner().invoke(main, [*arguments, "--partition", PARTITION])
    assert result.exit_code == 2 and "Ray is not installed" in result.output
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def cluster():
    """Two simulated machines of one core; a test may stop the second one."""
    import ray
    from ray.cluster_utils import Cluster

    simulated = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    simulated.second = simulated.add_node(num_cpus=1)
    ray.init(address=simulated.address, log_to_driver=False)
    yield simulated
    ray.shutdown()
    simulated.shutdown()


def lose(cluster, out, lost):
    """Stop the second machine when some shards are finished and others are not."""
    while len(list(out.glob("*/*.arrayrecord"))) < 3:
        time.sleep(0.01)
    cluster.remove_node(cluster.second, allow_graceful=False)
    lost.append(len(list(out.glob("*/*.arrayrecord"))))


@needs_ray
def test_lost_machine_changes_no_byte(images, tmp_path, complete_set, cluster):
    lost = []
    thread = threading.Thread(target=lose, args=(cluster, tmp_path, lost))
    thread.start()
    report = build_set(images, tmp_path)
    thread.join()
    assert lost and lost[0] < len(report.entries)
    assert content(tmp_path) == complete_set
    assert build_set(images, tmp_path).finished_before == len(report.entries)


@needs_ray
def test_faults_are_passed_between_machines(images, tmp_path, cluster):
    """A bad image is named, and a machine that does not see the output is reported."""
    from pipeline.building import ray_engine

    data = tmp_path / "data" / "DB1_B"
    data.mkdir(parents=True)
    for path in images.rglob("*.tif"):
        (data / path.name).write_bytes(path.read_bytes())
    (data / "103_1.tif").write_bytes(b"no image")
    with pytest.raises(Fault, match=r"1 images cannot be used(.|\n)*103_1.tif: does not decode"):
        build_set(data.parent, tmp_path / "out")
    assert not (tmp_path / "out" / manifest.FILE).exists()
    with pytest.raises(Fault, match="does not see it; all machines of the cluster must see"):
        list(ray_engine.run(None, [SimpleNamespace(out=tmp_path / "nowhere")]))
