"""SIGTERM again and again, from the first step of a run to the end of its process."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from training import make_set

from train import checkpoint

ROOT = Path(__file__).parents[2]
LONGEST_WAIT = 240  # s
CONFIG = """
import dataclasses, sys
sys.path.insert(0, "tests/support")
from configs import Config
from pipeline.spec import PipelineSpec
from training import MODEL, TRAIN
CONFIG = Config(PipelineSpec(), MODEL, dataclasses.replace(TRAIN, epochs=10**5))
"""


@pytest.mark.parametrize(
    "line", ["compiling the step", "train: "], ids=["while it compiles", "while it trains"]
)
def test_repeated_sigterm_gives_one_saved_state_and_status_0(tmp_path, line):
    shards = make_set(tmp_path / "set").directory
    (tmp_path / "config.py").write_text(CONFIG)
    run = tmp_path / "run"
    arguments = ["--shards", shards, "--checkpoint_dir", run, "--config", tmp_path / "config.py"]
    command = [sys.executable, "-u", "-m", "train", "run", *map(str, arguments), "--devices", "1"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        end = threading.Timer(LONGEST_WAIT, process.kill)  # of a run that never prints the line
        end.start()
        output = []
        for text in process.stdout:
            output.append(text)
            if line in text:
                break
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
        end.cancel()
        output += process.stdout.readlines()
    assert process.returncode == 0, output
    saved = [text for text in output if "SIGTERM: saved step" in text]
    assert len(saved) == 1
    step = checkpoint.load_meta(run / "latest")["step"]
    assert f"saved step {step} of" in saved[0]
    assert checkpoint.find_damage(run / "latest") == []
