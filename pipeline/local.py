"""The engine of one machine: tasks over its processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.synchronize import Event
from typing import TypeVar

from shards.errors import Fault

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[T, Callable[[], bool]], R]  # a task, and whether to stop
STOPS = (signal.SIGINT, signal.SIGTERM)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def run(work: Work[T, R], tasks: Sequence[T], workers: int | None = None) -> Generator[R]:
    """The results of `work` on all tasks, as they come.

    Processes are spawned: a fork after an ArrayRecord reader was used deadlocks. When the caller
    stops early, by an exception too, the workers are told, and give up what they are at.
    """
    workers = workers or cores()
    if workers == 1 or len(tasks) <= 1:
        yield from (work(task, lambda: False) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, _start, (stop,))
    try:
        with _held():
            jobs = [pool.submit(_work, work, task) for task in tasks]
        for done in as_completed(jobs):
            yield done.result()
    except BrokenProcessPool as error:
        raise Fault(
            "a worker process was killed by the system, mostly for want of memory; what is "
            "finished is kept, so run the same again, perhaps with fewer --workers"
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Signals wait. Workers that start meanwhile inherit it: Ctrl-C strikes none half awake."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_stop: Event


def _start(stop: Event) -> None:
    """Prepare a worker: one core, no part in the terminal's signals, no life without its parent."""
    global _stop
    import cv2

    _stop = stop
    cv2.setNumThreads(1)
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _work(work: Work[T, R], task: T) -> R:
    return work(task, _stop.is_set)
