"""Engine that runs the tasks of a build on a Ray cluster.

All machines must see the images, the output folder and this checkout under the same paths, and
have the packages of uv.lock. The bytes of a shard do not depend on the machine that builds it.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.building import state
from pipeline.building.worker import ShardResult, ShardTask
from shards.foundation.errors import Fault, Misuse

try:
    import ray
except ImportError as error:
    raise Misuse(
        "--engine ray: Ray is not installed here; EXTRAS=ray make shards ENGINE=ray installs it"
    ) from error

Work = Callable[[ShardTask, Callable[[], bool]], ShardResult]

# The folder that this package is imported from: the repository, or site-packages
ROOT = Path(__file__).parents[__name__.count(".")]


@dataclass(frozen=True)
class RayParameters:
    """How tasks are given to Ray; all chosen."""

    retries: int = 5  # of a task whose worker or machine was lost
    tasks_per_core: int = 2  # given to Ray at the same time, so that no core waits for the next
    stop_seconds: float = 4.0  # for running tasks to stop after an error


DEFAULT = RayParameters()


def run(
    work: Work,
    tasks: Sequence[ShardTask],
    workers: int | None = None,
    parameters: RayParameters = DEFAULT,
) -> Generator[ShardResult]:
    """Run `work` on all tasks and yield the results as they are finished.

    The cluster is the one of RAY_ADDRESS, or the one that was started on this machine, else a new
    one of this machine alone. Tasks of a lost worker or machine are run again on another one.

    Args:
        work: function of a task and of a function that returns whether to stop.
        tasks: shards.
        workers: tasks at the same time; None for as many as the cluster has cores.
        parameters: retries and waiting times.

    Raises:
        Fault: a task failed, or its worker was lost too often, or a machine does not see the output
            folder.
    """
    started = not ray.is_initialized()
    if started:
        _connect()
    waiting, running = iter(tasks), list[Any]()
    environment = {"env_vars": {"PYTHONPATH": _python_path()}}
    remote = ray.remote(max_retries=parameters.retries, runtime_env=environment)
    try:
        while True:
            free = max(0, _places(workers, parameters) - len(running))
            for task in itertools.islice(waiting, free):
                running.append(remote(_work).remote(work, task, Path.cwd()))
            if not running:
                break
            finished, running = ray.wait(running)
            yield _get_result(finished[0], parameters)
    finally:
        for reference in running:
            ray.cancel(reference)
        if running:
            ray.wait(running, num_returns=len(running), timeout=parameters.stop_seconds)
        if started:
            ray.shutdown()


def _connect() -> None:
    """Join or start a cluster; restore the handler of SIGTERM, which Ray replaces."""
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _python_path() -> str:
    """Return PYTHONPATH of the workers, with this checkout first."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _places(workers: int | None, parameters: RayParameters) -> int:
    """Return the number of tasks to run at the same time; machines may come and go."""
    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    return workers or parameters.tasks_per_core * cores


def _work(work: Work, task: ShardTask, folder: Path) -> ShardResult | Fault:
    """Run a task in a worker, in the current folder of the build; return a Fault as a value."""
    import cv2

    cv2.setNumThreads(1)
    if not _sees_output(task, folder):
        return Fault(
            f"{task.out}: {os.uname().nodename} does not see it; all machines of the cluster must "
            f"see {folder} and the output under the same paths"
        )
    try:
        return work(task, lambda: False)
    except Fault as fault:
        return fault


def _sees_output(task: ShardTask, folder: Path) -> bool:
    """Change to the current folder of the build; return whether the output exists there."""
    try:
        os.chdir(folder)
        return (task.out / state.FOLDER).is_dir()
    except OSError:
        return False


def _get_result(reference: Any, parameters: RayParameters) -> ShardResult:
    try:
        result = ray.get(reference)
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        raise Fault(
            f"Ray lost a worker or its machine {parameters.retries + 1} times (out of memory?); "
            "finished shards are kept, so run the same command again"
        ) from error
    if isinstance(result, Fault):
        raise result
    return result
