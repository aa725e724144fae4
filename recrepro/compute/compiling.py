"""Loops that numba compiles on their first use, and keeps on disk."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Compile a function, which then holds no lock and divides as numpy does, without asking.

    Parameters
    ----------
    function : callable
        The loops; absent where the decorator is called with options.
    **options
        Of `numba.njit`, in addition.
    """
    if function is None:
        return lambda of: compiled(of, **options)
    options = {"nogil": True, "error_model": "numpy", **options}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # there is no folder that it could be kept in
        return njit(**options)(function)
