"""How many threads the evaluator's own kernels use."""

import os


def default_threads() -> int:
    """Return what ``NUMBA_NUM_THREADS`` says, or else the number of cores of this process."""
    stated = os.environ.get("NUMBA_NUM_THREADS", "")
    if stated.isdecimal() and int(stated) > 0:
        return int(stated)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
