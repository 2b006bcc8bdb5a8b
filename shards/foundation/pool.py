"""Run tasks in several processes of one machine; end them all on Ctrl-C."""

from __future__ import annotations

import contextlib
import functools
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from types import FrameType
from typing import Any, TypeVar

from shards.foundation.errors import Fault
from shards.foundation.threads import require_threads

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[T, Callable[[], bool]], R]  # (task, a function that is True when it should stop)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
THREADS = 4  # of this process beside a pool: two of the executor, and room for one in the libraries
PATIENCE = 5.0  # s to wait for the end of a worker that was asked to end; chosen
REASONS = {"SIGKILL": "usually because memory ran out"}  # of the end by a signal


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(work: Work[T, R], tasks: Sequence[T], workers: int | None = None) -> Generator[R]:
    """Apply `work` to all tasks in several processes.

    Close the generator where it is not used to its end: the workers are then asked to stop, and
    the pool waits for them. One worker or one task needs no further process. One process does all
    outside of Linux, which has the signals by which workers end with their parent.

    Args:
        work: a function that can be pickled. Its second argument is a function that returns True
            when it should stop and return early.
        tasks: its first arguments.
        workers: number of processes; as many as cores by default.

    Yields:
        The results in the order of the tasks.

    Raises:
        Fault: a worker cannot start, lacks memory, or was ended by the system or by a library.
    """
    workers = workers or cores()
    if workers == 1 or len(tasks) <= 1 or not hasattr(signal, "sigwaitinfo"):
        yield from (work(task, lambda: False) for task in tasks)
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read by numpy in the workers
    # A forked process deadlocks where an ArrayRecord reader was used before, so spawn them.
    context = multiprocessing.get_context("spawn")
    function = work.func if isinstance(work, functools.partial) else work
    try:
        stop = context.Event()  # semaphores need /dev/shm
        pool = ProcessPoolExecutor(
            min(workers, len(tasks)), context, _start_worker, (stop, function.__module__)
        )
    except OSError as error:
        raise _no_worker(error) from error
    processes: list[BaseProcess] = []
    try:
        with delay_signals():
            futures = _submit(pool, [(work, task) for task in tasks])
        processes = multiprocessing.active_children()
        while futures:
            yield futures.popleft().result()
    except BrokenProcessPool as error:
        raise Fault(
            f"a worker process {_describe_end(processes)}; finished work is kept: run the same "
            "command again, perhaps with fewer --workers"
        ) from error
    finally:
        with delay_signals():  # make, for one, sends Ctrl-C a second time
            stop.set()
            pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, tasks: list[tuple[Any, Any]]) -> deque[Future[Any]]:
    """Start the workers and give them all tasks; Fault where this process cannot."""
    require_threads(THREADS)
    try:
        return deque(pool.submit(_run_task, *task) for task in tasks)
    except OSError as error:
        for process in multiprocessing.active_children():
            process.kill()
        raise _no_worker(error) from error


def _no_worker(error: OSError) -> Fault:
    return Fault(f"no worker process can be started: {error}; try --workers 1")


def _describe_end(processes: Iterable[BaseProcess]) -> str:
    """Say how the first worker ended, as a phrase; the others are ended by SIGTERM."""
    for process in processes:
        process.join(PATIENCE)
    codes = {-(process.exitcode or 0) for process in processes}
    for number in sorted(codes & set(signal.valid_signals()) - {signal.SIGTERM}):
        name = signal.Signals(number).name
        return f"was ended by {name}, {REASONS.get(name, 'usually by a fault in a library')}"
    return "could not start or was ended, usually because memory ran out"


@contextlib.contextmanager
def interruptible(finished: str) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM in the block into a Fault.

    Args:
        finished: the work that is kept, in the plural, for the message: "finished shards".
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        with _signal_handler(interrupt, (signal.SIGTERM,)):
            yield
    except KeyboardInterrupt as error:
        raise Fault(
            f"stopped; {finished} are kept: run the same command again to continue"
        ) from error


@contextlib.contextmanager
def delay_signals() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the end of the block.

    Workers that start in the block inherit the blocked signals, so that none ends them before they
    are prepared. In this process a thread of a library may still receive a signal: it is noted.
    """
    received: list[int] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        with _signal_handler(lambda number, _: received.append(number), STOP_SIGNALS):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in received:
            signal.raise_signal(number)


@contextlib.contextmanager
def _signal_handler(
    handler: Callable[[int, FrameType | None], None], numbers: Sequence[int]
) -> Iterator[None]:
    """Handle signals by `handler` in the block; no effect outside of the main thread."""
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handler) for number in numbers if is_main}
    try:
        yield
    finally:
        for number, old_handler in before.items():
            signal.signal(number, old_handler)


_stop: Event  # of this worker process


def _start_worker(stop: Event, module: str) -> None:
    """Prepare a worker process; say why, and end, where that fails.

    It uses one core, ignores the terminal's signals and ends when its parent has ended.

    Args:
        stop: set when the work should stop.
        module: name of the module of the work.
    """
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        threading.Thread(target=_exit_after_parent, daemon=True).start()
        threading.Thread(target=_exit_on_signal_of_parent, daemon=True).start()
        import cv2

        cv2.setNumThreads(1)
        importlib.import_module(module)
    except (RuntimeError, MemoryError, OSError, ImportError) as error:
        reason = str(error) or type(error).__name__
        sys.stderr.write(f"error: a worker process cannot start: {reason}\n")
        sys.stderr.flush()
        os._exit(1)


def _exit_after_parent() -> None:
    """End this worker when its parent process has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _exit_on_signal_of_parent() -> None:
    """End this worker on a SIGTERM of its parent, which has lost another worker.

    A SIGTERM of another process is ignored.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent.pid:
            pass
        os._exit(1)


def _run_task(work: Work[T, R], task: T) -> R:
    try:
        return work(task, _stop.is_set)
    except MemoryError as error:
        raise Fault(
            "a worker process has too little memory; finished work is kept: run the same command "
            "again with fewer --workers, or allow more memory (ulimit -v)"
        ) from error
