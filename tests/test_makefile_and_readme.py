"""The Makefile and the README: their commands and examples."""

import glob
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from pairs import make_pairs

from pipeline.split import split_of
from shards.record import encode
from shards.shard_file import write_shard

ROOT = Path(__file__).parents[1]


def test_the_demo_registers_a_finger_that_was_held_out():
    fingers = set(re.findall(r"(\d{5})_\d\.png", (ROOT / "Makefile").read_text()))
    assert len(fingers) == 1
    assert split_of(f"synthetic/demo/{fingers.pop()}") == "test"


def test_the_readme_reads_a_shard(tmp_path, monkeypatch):
    """The README's example reads a record, with array_record and numpy alone."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    name = re.search(r'"(data/shards/.*arrayrecord)"', code)[1]
    pair = make_pairs(1, seed=5)[0]
    (tmp_path / name).parent.mkdir(parents=True)
    write_shard(tmp_path / name, [encode(pair)])
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(compile(code, "README.md", "exec"), namespace)
    np.testing.assert_array_equal(namespace["image_a"], pair.image_a)
    np.testing.assert_array_equal(namespace["image_b"], pair.image_b)
    np.testing.assert_array_equal(namespace["map_ab"], pair.map_ab)


def commands(*arguments):
    """The lines that make would run, and its error messages."""
    if shutil.which("make") is None:
        pytest.skip("no make here")
    done = subprocess.run(
        ["make", "-n", *arguments],
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines(), done.stderr


def words(*arguments):
    """Words of the last line that make would run, as a shell splits them."""
    return shlex.split(commands(*arguments)[0][-1])


def test_names_with_spaces_stay_whole():
    line = words("register", "A=my print (1).tif", "B=b c.png", "CHECKPOINT=my net")
    assert line[4:9] == ["register", "my print (1).tif", "b c.png", "--checkpoint", "my net"]
    line = words("shards", "DATA=/my disk:/nist:", "OUT=my shards")
    assert after(line, "--data") == ["/my disk", "/nist"] and after(line, "--out") == ["my shards"]
    assert after(words("train", "RUN=my run"), "--checkpoint_dir") == ["my run"]
    line = words("show", "OUT=~/my shards")
    assert line[5:] == [f"{Path.home()}/my shards", "--out", f"{Path.home()}/my shards/sheet.png"]


def after(line, option):
    """The values of an option in a command line."""
    return [line[k + 1] for k, word in enumerate(line) if word == option]


def test_a_set_may_be_built_without_bad_images_and_replaced():
    options = ("--skip-bad", "--rebuild")
    for arguments, expected in (
        ([], ()),
        (["SKIP_BAD=0", "REBUILD=0"], ()),
        (["SKIP_BAD=1"], options[:1]),
        (["SKIP_BAD=1", "REBUILD=1"], options),
    ):
        assert tuple(word for word in words("shards", *arguments) if word in options) == expected


def test_own_images_keep_their_pattern():
    pattern = r"re:(?P<person>\d+) (?P<finger>[LR]\d)_.*"
    line = words("shards", "DATA=/a", f"LAYOUT={pattern}", "NAME=lab", "PPI=500", "RAW=388x374")
    for option, value in (("--layout", pattern), ("--name", "lab"), ("--ppi", "500")):
        assert after(line, option) == [value]
    assert after(line, "--raw") == ["388x374"]
    assert after(words("shards", "LIST=my list.csv", "NAME=lab"), "--list") == ["my list.csv"]
    assert not {"--layout", "--list", "--name", "--ppi", "--raw"} & set(words("shards"))


@pytest.mark.parametrize("extras", ["", "cuda", "dev cuda", "tpu dev"])
def test_any_optional_groups_are_installed(extras):
    lines, complaints = commands("test", "-W", "uv.lock", f"EXTRAS={extras}")
    assert complaints == ""
    groups = after(next(line.split() for line in lines if " sync " in line), "--extra")
    optional = sorted({"dev", *extras.split()})
    assert groups == ["shards", "train", *optional]
    assert f"touch .venv/.installed-{'-'.join(optional)}" in lines


@pytest.mark.parametrize(
    ("arguments", "network"),
    [
        ([], "model/dense_reg.safetensors"),
        (["RUN=runs/x"], "runs/x/dense_reg_ckpt.safetensors"),
        (["CHECKPOINT=net.safetensors"], "net.safetensors"),
        (["RUN=runs/x", "CHECKPOINT=net.safetensors"], "net.safetensors"),
    ],
)
def test_the_network_that_ships_registers_unless_another_is_named(arguments, network, tmp_path):
    line = words("register", "A=a", "B=b", *arguments)
    assert after(line, "--checkpoint") == [network]


LONG = ("shards", "verify", "show", "train", "train-tpu", "evaluate", "bench", "test", "check-tpu")


@pytest.mark.parametrize("target", LONG)
def test_long_recipes_replace_their_shell(target):
    """A shell between make and the program would die on TERM before the program has saved."""
    lines, _ = commands(target, "PLATFORM=cpu")
    recipe = "\n".join(lines).replace("\\\n", " ").splitlines()
    assert recipe[-1].split()[0] == "exec"


def test_make_returns_after_a_stopped_training_has_saved(tmp_path):
    program = tmp_path / "python"
    program.write_text(
        "#!/bin/sh\n"
        "trap 'sleep 1; echo saved > \"$SAVED\"; exit 0' TERM\n"
        'echo started > "$STARTED"\n'
        "while :; do sleep 0.1; done\n"
    )
    program.chmod(0o755)
    started, saved = tmp_path / "started", tmp_path / "saved"
    environment = {**os.environ, "STARTED": str(started), "SAVED": str(saved)}
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        environment.pop(name, None)
    command = ["make", "train", f"PY={program}", "-o", ".venv/.installed"]
    make = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not started.exists():
        assert make.poll() is None
        time.sleep(0.05)
    make.terminate()
    make.wait()
    assert saved.exists()


@pytest.mark.parametrize(
    ("target", "check", "message"),
    [
        ("train-tpu", "tpu-seen", "no TPU found"),
        ("bench-gpu", "gpu-seen", "no NVIDIA GPU found"),
    ],
)
def test_missing_accelerators_are_refused_before_anything_is_installed(target, check, message):
    """With a GNU make that only lists, the check itself is the first line that would run."""
    rule = rf"^{check}:\n.*\$\(wildcard (/dev/[^)]*)\)"
    patterns = re.search(rule, (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    if any(map(glob.glob, patterns)):
        pytest.skip("there is such an accelerator here")
    done = subprocess.run(
        ["make", target, "-o", ".venv/.installed", "PY=false"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert message in done.stderr and "installing" not in done.stdout
