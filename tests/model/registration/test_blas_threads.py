"""BLAS has one thread while it registers, whatever was imported first; afterwards as before."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import threadpoolctl

from shards.foundation.blas_threads import one_blas_thread

ROOT = Path(__file__).parents[3]
REGISTER = """
import numpy as np
import threadpoolctl

def threads():
    infos = threadpoolctl.threadpool_info()
    return sorted({info["num_threads"] for info in infos if info["user_api"] == "blas"})

from prints import finger
from train import densereg
from model.registration import registrar

threadpoolctl.threadpool_limits(3, user_api="blas")
within = []

def noted(work):
    def note(*args, **kwargs):
        within.extend(threads())
        return work(*args, **kwargs)
    return note

for name in ("prepare_impression", "best_hypothesis", "assess"):
    setattr(registrar, name, noted(getattr(registrar, name)))
densereg.register(finger(1, 240, 220), finger(2, 240, 220), 500, 500)
print(len(within) >= 4, set(within), threads())
"""


def numbers():
    """Numbers of threads of the libraries of BLAS."""
    infos = threadpoolctl.threadpool_info()
    return {info["filepath"]: info["num_threads"] for info in infos if info["user_api"] == "blas"}


def test_registration_uses_one_thread_where_numpy_came_first():
    variables = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests/support")))
    done = subprocess.run(
        [sys.executable, "-c", REGISTER],
        cwd=ROOT,
        env={**variables, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True {1} [3]\n"


def test_import_leaves_the_environment_alone():
    variables = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    code = "import os; from train import densereg; print('OPENBLAS_NUM_THREADS' in os.environ)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr


def test_overlapping_blocks_of_threads_restore_the_number():
    """A nested block, one that ends with an error, and one of another thread that ends last."""
    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        before, entered, end, within = numbers(), threading.Event(), threading.Event(), []

        @one_blas_thread
        def overlap():
            within.append(numbers())
            entered.set()
            end.wait()

        other = threading.Thread(target=overlap)
        with pytest.raises(ValueError, match="ends"), one_blas_thread:
            other.start()
            entered.wait()
            with one_blas_thread:
                within.append(numbers())
            within.append(numbers())
            raise ValueError("ends")
        end.set()
        other.join()
        assert numbers() == before
        assert {*before.values()} == {3}
        assert {number for each in within for number in each.values()} == {1}


LATE = """
import sys
import threadpoolctl
import numpy
from shards.foundation.blas_threads import one_blas_thread

def threads():
    infos = threadpoolctl.threadpool_info()
    return [info["num_threads"] for info in infos if info["user_api"] == "blas"]

with one_blas_thread:
    early = threads()
    import scipy.linalg  # inside a block, whose end leaves it alone
threadpoolctl.threadpool_limits(3, user_api="blas")
with one_blas_thread:
    late = threads()
print(set(early), set(late), len(late) > len(early), set(threads()))
"""


def test_a_library_that_is_loaded_later_is_limited_too():
    done = subprocess.run(
        [sys.executable, "-c", LATE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout in ("{1} {1} True {3}\n", "{1} {1} False {3}\n")  # one BLAS for all, or two


def number_of_numpy():
    """Number of threads of numpy's BLAS, by which registration multiplies matrices."""
    return next(number for path, number in numbers().items() if "numpy" in path)


def test_the_limit_holds_in_threads_of_their_own():
    """Also in the second one, beside no block of the main thread; the others keep their number.

    OpenCV's older OpenBLAS has no number that counts in such threads.
    """
    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        within, after = [], []

        def register():
            with one_blas_thread:
                within.append(number_of_numpy())
            after.append(number_of_numpy())

        for _ in range(2):
            thread = threading.Thread(target=register)
            thread.start()
            thread.join()
        assert (within, after) == ([1, 1], [3, 3])
        assert number_of_numpy() == 3
