"""The engine of many machines: the same tasks on a Ray cluster.

Sources, output and this checkout lie on a folder that all machines see under the same path, with
the packages of uv.lock on each. Which machine builds a shard changes none of its bytes.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from pipeline.building import state
from pipeline.building.worker import Result, Task
from shards.foundation.errors import Fault, Misuse

try:
    import ray
except ImportError as error:
    raise Misuse(
        "--engine ray: Ray is not installed here; EXTRAS=ray make shards ENGINE=ray installs it"
    ) from error

Work = Callable[[Task, Callable[[], bool]], Result]

ROOT = Path(__file__).parents[2]
RETRIES = 5  # of a task whose worker or machine was lost
AHEAD = 2  # tasks a core that Ray is given, so that no core waits for the next
PATIENCE = 4.0  # s for workers to give up what they are at


def run(work: Work, tasks: Sequence[Task], workers: int | None = None) -> Generator[Result]:
    """The results of `work` on all tasks, as they come, at most `workers` at once.

    On the cluster that RAY_ADDRESS names or that was started on this machine, else on this machine
    alone. What a lost worker or machine was at is done again on another. Fault where that fails
    too, or where a machine does not see the output.
    """
    started = not ray.is_initialized()
    if started:
        _connect()
    waiting, running = iter(tasks), list[Any]()
    remote = ray.remote(max_retries=RETRIES, runtime_env={"env_vars": {"PYTHONPATH": _path()}})
    try:
        while running := running + [
            remote(_work).remote(work, task, Path.cwd())
            for task in itertools.islice(waiting, max(0, _places(workers) - len(running)))
        ]:
            done, running = ray.wait(running)
            yield _result(done[0])
    finally:
        for reference in running:
            ray.cancel(reference)
        if running:
            ray.wait(running, num_returns=len(running), timeout=PATIENCE)
        if started:
            ray.shutdown()


def _connect() -> None:
    """Join or start a cluster, and keep the handler of SIGTERM, which Ray replaces."""
    before = signal.getsignal(signal.SIGTERM)
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _path() -> str:
    """PYTHONPATH of the workers: this checkout first."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _places(workers: int | None) -> int:
    """How many tasks to give to Ray at once; machines may come and go."""
    return workers or AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))


def _work(work: Work, task: Task, folder: Path) -> Result | Fault:
    """In a worker: as if in the folder of the one that started the build."""
    import cv2

    cv2.setNumThreads(1)
    try:
        os.chdir(folder)
        seen = (task.out / state.FOLDER).is_dir()
    except OSError:
        seen = False
    if not seen:
        return Fault(
            f"{task.out}: {os.uname().nodename} does not see it; all machines of the cluster must "
            f"see {folder} and the output under the same paths"
        )
    try:
        return work(task, lambda: False)
    except Fault as fault:
        return fault


def _result(reference: Any) -> Result:
    try:
        result = ray.get(reference)
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        raise Fault(
            f"Ray lost a worker or its machine {RETRIES + 1} times (out of memory?); what is "
            "finished is kept, so run the same again"
        ) from error
    if isinstance(result, Fault):
        raise result
    return result
