"""Fixtures that tests of several parts share."""

import os

# Before torch is imported: for networks as small as those of the tests, threads take more time to
# meet than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import ArrayLike

from recrepro.interactions import Interactions

# No test is judged by its wall time: the first call of a kernel compiles it.
settings.register_profile("recrepro", deadline=None)
settings.load_profile("recrepro")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the data sets that may not be redistributed."""
    folder = os.environ.get("RECREPRO_DATA")
    if not folder:
        pytest.skip("real data: RECREPRO_DATA does not name a folder that holds it")
    if not (Path(folder) / "ml-100k").is_dir():
        pytest.skip(f"real data: {folder} has no ml-100k")
    return Path(folder)


@pytest.fixture(scope="session")
def interactions() -> Callable[[ArrayLike], Interactions]:
    """Make interactions from a dense matrix; zeros are no interactions."""

    def make(rows: ArrayLike) -> Interactions:
        matrix = np.asarray(rows, np.float32)
        users, items = np.nonzero(matrix)
        return Interactions(
            users.astype(np.int32),
            items.astype(np.int32),
            matrix[users, items],
            None,
            np.arange(matrix.shape[0]),
            np.arange(matrix.shape[1]),
        )

    return make
