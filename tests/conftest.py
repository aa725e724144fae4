"""Fixtures that tests of several parts share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the data sets that may not be redistributed."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RECREPRO_DATA") or beside)
    if not (folder / "ml-100k").is_dir():
        pytest.skip(f"{folder} does not hold the data sets; RECREPRO_DATA names their folder")
    return folder
