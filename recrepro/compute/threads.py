"""Threads for compiled loops, which hold no lock: how many, their shares of rows, tiny numbers."""

import ctypes
import functools
import os
import platform
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import scipy.linalg  # noqa: F401  # loads the BLAS that kernels call, so that it can be limited
from threadpoolctl import ThreadpoolController


def default_threads() -> int:
    """Return what ``NUMBA_NUM_THREADS`` says, or else the number of cores of this process."""
    stated = os.environ.get("NUMBA_NUM_THREADS", "")
    return int(stated) if stated.isdecimal() and int(stated) > 0 else cores()


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_cores(jobs: int | None, threads: int | Literal["auto"]) -> tuple[int, int]:
    """Return how many cells run side by side, and how many threads each has.

    Parameters
    ----------
    jobs : int, optional
        As asked for; by default as many as the cores allow.
    threads : int or "auto"
        As asked for; ``"auto"`` divides the cores by the jobs.
    """
    if threads == "auto":
        jobs = jobs or cores()
        return jobs, max(1, cores() // jobs)
    return jobs or max(1, cores() // threads), threads


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Let the numeric libraries of this process use so many threads, as long as it lasts."""
    before = os.environ.get("NUMBA_NUM_THREADS")
    os.environ["NUMBA_NUM_THREADS"] = str(threads)
    try:
        with ThreadpoolController().limit(limits=threads):
            yield
    finally:
        if before is None:
            del os.environ["NUMBA_NUM_THREADS"]
        else:
            os.environ["NUMBA_NUM_THREADS"] = before


def share_rows(
    run: Callable[[int, int], object],
    n_rows: int,
    threads: int | None = None,
    *,
    shares: int = 16,
    pool: ThreadPoolExecutor | None = None,
) -> None:
    """Call a function with stretches of rows that together are all of them, in several threads.

    Parameters
    ----------
    run : callable
        Takes the first row and the one behind the last; must not depend on where the cuts are.
    n_rows : int
        How many rows there are.
    threads : int, optional
        How many threads; `default_threads` of them when absent.
    shares : int
        Stretches for each thread: some rows take longer than others.
    pool : ThreadPoolExecutor, optional
        Threads that are there already.
    """
    threads = threads or default_threads()
    n_shares = min(n_rows, 1 if threads == 1 else shares * threads)
    bounds = np.linspace(0, n_rows, n_shares + 1).astype(int).tolist()
    if n_shares <= 1:
        run(0, n_rows)
        return
    if pool is None:
        with ThreadPoolExecutor(threads) as own:
            share_rows(run, n_rows, threads, shares=shares, pool=own)
        return
    for one in [pool.submit(run, first, last) for first, last in pairwise(bounds)]:
        one.result()


def single_blas_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS starts no threads of its own beside those of the rows."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit


@contextmanager
def tiny_numbers_are_zero() -> Iterator[None]:
    """Let this thread take numbers below the smallest normal one (1.2e-38 in float32) for zero.

    Such denormal numbers have few or no correct digits, but on processors by Intel a matrix product
    that is full of them takes a hundred times as long. Where that is not so, or is not known (what
    is no x86-64 Linux with glibc), nothing changes. Threads that are started meanwhile are not
    affected: use it inside of what they run; as a decorator, too.
    """
    glibc = platform.libc_ver()[0] == "glibc" and platform.machine() == "x86_64"
    if sys.platform != "linux" or not glibc:
        yield
        return
    floats = ctypes.CDLL("libm.so.6")
    before = (ctypes.c_uint32 * 8)()  # fenv_t: seven words of the x87 unit, and MXCSR
    floats.fegetenv(before)
    zeroing = type(before)(*before)
    zeroing[7] |= 0x8040  # flush to zero: of results; denormals are zeros: of operands
    floats.fesetenv(zeroing)
    try:
        yield
    finally:
        floats.fesetenv(before)


@functools.cache
def _controller() -> ThreadpoolController:
    """Find the BLAS libraries once: it takes some milliseconds."""
    return ThreadpoolController()
