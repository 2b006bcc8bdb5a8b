"""Memory of a process that synthesizes fingers."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
MOST = 300  # MiB; 190 were measured
PERSON = """
import sys
from pathlib import Path

from peak_memory import peak_megabytes
from pipeline.synthesis.write import write_set

write_set(Path(sys.argv[1]), fingers=10, impressions=1, seed=1, workers=1, layout="sd300")
print(peak_megabytes())
"""


def test_ten_fingers_with_images_at_2000_ppi_need_little_memory(tmp_path):
    """A whole person of SD300, the largest images, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PERSON, str(tmp_path)],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert float(done.stdout) < MOST
