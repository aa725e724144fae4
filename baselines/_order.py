"""Weights that fall with the distance in a sequence."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Falling = Literal["same", "linear", "reciprocal", "logarithmic", "quadratic"]


def falling_weights(kind: Falling, n: int) -> NDArray[np.float64]:
    """Return the weights of n places, the nearest first; that of the nearest is the largest.

    With d the number of a place, from 1: 1, 1 - (d - 1)/n, 1/d, 1/log10(d + 1.7) and 1/d^2.
    """
    place = np.arange(1, n + 1, dtype=np.float64)
    weights: dict[Falling, NDArray[np.float64]] = {
        "same": np.ones(n),
        "linear": 1 - (place - 1) / n,
        "reciprocal": 1 / place,
        "logarithmic": 1 / np.log10(place + 1.7),
        "quadratic": place**-2,
    }
    return weights[kind]
