"""The engine of one machine: tasks over its processes, and Ctrl-C that ends them cleanly."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.synchronize import Event
from types import FrameType
from typing import TypeVar

from shards.foundation.errors import Fault

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[T, Callable[[], bool]], R]  # a task, and whether to stop
STOPS = (signal.SIGINT, signal.SIGTERM)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def run(work: Work[T, R], tasks: Sequence[T], workers: int | None = None) -> Generator[R]:
    """The results of `work` on all tasks, in their order.

    Processes are spawned: a fork after an ArrayRecord reader was used deadlocks. When the caller
    stops early and closes this, the workers are told, and give up what they are at. Fault where
    the system kills one. One worker, or one task, needs no process but this.
    """
    workers = workers or cores()
    if workers == 1 or len(tasks) <= 1:
        yield from (work(task, lambda: False) for task in tasks)
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read by numpy in the processes
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, _start, (stop,))
    try:
        with _held():
            jobs = deque(pool.submit(_work, work, task) for task in tasks)
        while jobs:
            yield jobs.popleft().result()
    except BrokenProcessPool as error:
        raise Fault(
            "a worker process was killed by the system, mostly for want of memory; what is "
            "finished is kept, so run the same again, perhaps with fewer --workers"
        ) from error
    finally:
        with _held():  # make and others pass on a second Ctrl-C
            stop.set()
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the work with a Fault that says what is `kept`, and what to do."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        with _handled(interrupt, (signal.SIGTERM,)):
            yield
    except KeyboardInterrupt as error:
        raise Fault(f"stopped; {kept} are kept, the same command goes on") from error


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Signals wait till the end. Workers that start meanwhile inherit it: none strikes them.

    The mask is for the workers; here a signal may reach a thread of a library, and be handled.
    """
    came: list[int] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        with _handled(lambda number, _: came.append(number), STOPS):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in came:
            signal.raise_signal(number)


@contextlib.contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], None], numbers: Sequence[int]
) -> Iterator[None]:
    """Signals of these numbers go to `handler`; only the main thread may say so."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handler) for number in numbers if main}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


_stop: Event


def _start(stop: Event) -> None:
    """Prepare a worker: one core, no part in the terminal's signals, no life without its parent."""
    global _stop
    import cv2

    _stop = stop
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_follow_parent, daemon=True).start()
    threading.Thread(target=_obey_parent, daemon=True).start()


def _follow_parent() -> None:
    """End this worker when its parent has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _obey_parent() -> None:
    """End this worker at a SIGTERM of its parent, which has lost another worker; not of others."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent.pid:
            pass
        os._exit(1)


def _work(work: Work[T, R], task: T) -> R:
    return work(task, _stop.is_set)
