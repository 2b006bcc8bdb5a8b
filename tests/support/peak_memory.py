"""Peak memory of this process, for tests and benchmarks; Linux alone."""

from pathlib import Path


def peak_megabytes():
    """Return the most memory (MiB) that this process has had resident.

    The kernel's VmHWM begins with the program; `ru_maxrss` of getrusage begins with the size of the
    process that started it, so that a small program started by a large one looks large.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
