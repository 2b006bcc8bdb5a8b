"""Limit the threads of BLAS while many small matrices are multiplied."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from types import TracebackType

import threadpoolctl


class OneBlasThread(contextlib.ContextDecorator):
    """A block, or a decorated function, in which BLAS uses one thread; afterwards as before.

    Where matrices are small, threads of BLAS wait for each other longer than they compute. The
    limit holds whatever was imported first. Blocks may be nested, and run in several threads: some
    builds of BLAS have one number for the process, others one for each thread. Of the former, the
    first block to end restores it, and other threads may use it until they end their own.
    """

    def __init__(self) -> None:
        self._lock, self._of_thread = threading.Lock(), threading.local()
        self._threads = 0  # in a block
        self._first: dict[str, int] = {}  # library → its number before the first of these blocks

    def __enter__(self) -> None:
        """Limit BLAS, unless this thread is in a block already."""
        depth = getattr(self._of_thread, "depth", 0)
        self._of_thread.depth = depth + 1
        if depth:
            return
        libraries = _libraries(len(sys.modules))
        with self._lock:
            if not self._threads:
                self._first = {}
            before = []
            for library in libraries:
                number = library.num_threads
                first = self._first.setdefault(library.filepath, number)
                # 1 may be the limit of another thread's block
                before.append((library, first if number == 1 else number))
                _set_threads(library, 1)
            self._threads, self._of_thread.before = self._threads + 1, before

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the numbers at the end of this thread's outermost block."""
        self._of_thread.depth -= 1
        if self._of_thread.depth:
            return
        with self._lock:
            self._threads -= 1
            for library, number in self._of_thread.before:
                _set_threads(library, number)


one_blas_thread = OneBlasThread()


def _set_threads(library: threadpoolctl.LibController, number: int) -> None:
    """Set the number of threads, for this thread alone where the library can do so.

    OpenBLAS ignores the number of the process in threads that Python started. Of builds without the
    other function, such as OpenCV's, the number stays as it is there; registration uses numpy's.
    """
    set_local = getattr(library.dynlib, "openblas_set_num_threads_local", None)
    if set_local is None:
        library.set_num_threads(number)
    else:
        set_local(number)


@functools.lru_cache(1)
def _libraries(modules: int) -> list[threadpoolctl.LibController]:
    """Find the libraries of BLAS that are loaded: numpy's, and perhaps OpenCV's and scipy's.

    They are searched for again when the number of imported modules has changed.
    """
    controllers = threadpoolctl.ThreadpoolController().lib_controllers
    return [library for library in controllers if library.user_api == "blas"]
