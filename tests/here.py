"""Work done at once and in this process, where the code would start others."""

from concurrent.futures import Future


class Here:
    """Stands in for the pool of processes."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future
