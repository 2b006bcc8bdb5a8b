"""JAX that cannot start: the error names the variables of the environment that JAX reads."""

import logging
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from training import make_set

from model.network import compilation_cache, start_jax

ROOT = Path(__file__).parents[3]
WITHOUT_GPU = pytest.mark.skipif(
    any(Path(file).exists() for file in start_jax.GPU_FILES), reason="JAX may start on this GPU"
)


@pytest.mark.parametrize(
    "variable",
    [
        pytest.param("JAX_PLATFORMS=cuda", marks=WITHOUT_GPU),
        "JAX_PLATFORMS=nonsense",
        "JAX_ENABLE_X64=maybe",
        "JAX_NUM_CPU_DEVICES=x",
    ],
)
def test_a_wrong_variable_is_named_without_a_traceback(tmp_path, variable):
    name, _, value = variable.partition("=")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    for image in ("a.png", "b.png"):
        (tmp_path / image).touch()  # not read before JAX has started
    images = [str(tmp_path / image) for image in ("a.png", "b.png")]
    command = ["model", "register", *images, "--out", str(tmp_path / "map.npz")]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**environment, name: value},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: JAX does not start with {variable}: ")
    assert len(done.stderr.splitlines()) == 1


def test_training_names_a_wrong_variable_too(tmp_path):
    make_set(tmp_path / "set")
    command = ["train", "run", "--shards", str(tmp_path / "set")]
    command += ["--checkpoint_dir", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "nonsense"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "error: JAX does not start with" in done.stderr
    assert "JAX_PLATFORMS=nonsense" in done.stderr


@pytest.fixture
def updates(monkeypatch):
    """The settings that a process without a compilation cache makes of JAX."""
    config, made = compilation_cache.jax.config, []
    values = {**config.values, "jax_compilation_cache_dir": None}
    monkeypatch.setattr(type(config), "values", values)  # of the object it is a new dict each time
    monkeypatch.setattr(config, "update", lambda *item: made.append(item))
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return made


def test_a_user_with_a_home_has_a_compilation_cache(monkeypatch, updates, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    compilation_cache.enable()
    folder = Path(dict(updates)["jax_compilation_cache_dir"])
    assert folder.is_dir() and folder.parent == tmp_path / ".cache" / "dense-registration"


def test_an_unknown_user_without_home_has_no_compilation_cache(monkeypatch, updates):
    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    compilation_cache.enable()
    assert not updates


@pytest.mark.parametrize("files", [(), ("/dev/null",)])
def test_a_missing_gpu_makes_no_noise_but_a_broken_one_does(monkeypatch, caplog, files):
    """What JAX logs about its CUDA plugin is dropped where no GPU is seen."""
    logger = logging.getLogger("jax._src.xla_bridge")
    monkeypatch.setattr(logger, "filters", [])
    monkeypatch.setattr(start_jax, "GPU_FILES", files)
    with start_jax.report_start_errors():
        logger.error("Jax plugin configuration error: Exception when calling initialize()")
        logger.error("another error")
    plugin = ["Jax plugin configuration error: Exception when calling initialize()"]
    assert [record.getMessage() for record in caplog.records] == [
        *(plugin if files else []),
        "another error",
    ]
