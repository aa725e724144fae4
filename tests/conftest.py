"""Fixtures that tests of several parts share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the data sets that may not be redistributed."""
    folder = os.environ.get("RECREPRO_DATA")
    if not folder:
        pytest.skip("real data: RECREPRO_DATA does not name a folder that holds it")
    if not (Path(folder) / "ml-100k").is_dir():
        pytest.skip(f"real data: {folder} has no ml-100k")
    return Path(folder)
