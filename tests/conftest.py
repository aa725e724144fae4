"""Fixtures that tests of several parts share."""

import os

# Before torch is imported: for networks as small as those of the tests, threads take more time to
# meet than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import ArrayLike

from recrepro.interactions import Interactions

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

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


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Chrome]":
    """Chromium without a window; nothing but this machine can be reached from its pages."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("browser: no chromium and chromedriver here; apt install chromium-driver")
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new",
        "--no-sandbox",  # which root cannot have
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1600,1000",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options=options, service=ChromeService(driver)) as chrome:
        yield chrome


@pytest.fixture
def browser(chromium: "Chrome") -> "Chrome":
    """Give a Selenium driver on an empty page; `get_log("browser")` has the console's lines."""
    chromium.get("about:blank")
    chromium.get_log("browser")  # reading it empties it
    return chromium
