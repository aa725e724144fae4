"""Fixtures that tests of several parts share."""

import os

# Before torch is imported: for networks as small as those of the tests, threads take more time to
# meet than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from numpy.typing import ArrayLike
from sqlalchemy import make_url
from support.cpu_limit import pytest_runtest_makereport, pytest_runtest_protocol  # noqa: F401
from support.inprocess import PlaceHere, cells_here
from support.places import Place, install_plugin
from support.servers import postgresql, serving, started, unused_port, wait_until
from support.stores import copying, empty_store

from recrepro.interactions import Interactions
from recrepro.testing import interactions_from

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# No test is judged by its wall time: the first call of a kernel compiles it. A push has the same
# examples each time; `make nightly` draws others, with --hypothesis-profile nightly.
settings.register_profile("push", deadline=None, max_examples=15, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=200, print_blob=True)
settings.load_profile("push")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, so that both workers are busy until the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


CONTRACT = "testing/test_models.py"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file on one worker, but spread the models of the contract over all.

    Marks of `xdist_group` would say the same, but pytest-xdist 3.8 loses them under pytest 9.2: it
    appends the group to `item._nodeid`, which pytest no longer reads.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrModel(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return nodeid.partition("-")[0] if file.endswith(CONTRACT) else file

    return ByFileOrModel(config, log)


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
    """Give `interactions_from` to tests."""
    return interactions_from


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


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    """Install a plugin of `support/plugins`; return the variables to set."""
    return lambda name: install_plugin(name, tmp_path_factory.mktemp("plugin"))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path).with_store()


@pytest.fixture(scope="session")
def make_place(tmp_path_factory):
    """Make a place with another experiment."""
    return lambda text: Place(tmp_path_factory.mktemp("place"), text)


@pytest.fixture(scope="session", name="cells_here")
def _cells_here():
    """Give `cells_here` to tests."""
    return cells_here


@pytest.fixture
def place_here(tmp_path):
    """A place whose commands and cells run in this process."""
    return PlaceHere(tmp_path)


@pytest.fixture(scope="session")
def make_place_here(tmp_path_factory):
    """Make such a place with another experiment."""
    return lambda text: PlaceHere(tmp_path_factory.mktemp("place"), text)


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """Folder of the MLflow database that others are copies of; one for all workers."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "empty-store"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _stores_are_copies(stores):
    """Copy the MLflow database of each workspace that this process fills."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recrepro.tracking.store.make_database", copying(stores))
        yield


@pytest.fixture(scope="session", name="empty_store")
def _empty_store(stores):
    """An MLflow database without runs, to be copied."""
    return empty_store(stores)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The small grid, run once without disturbance, each cell in a process of its own."""
    place = Place(tmp_path_factory.mktemp("finished")).with_store()
    done = place.run()
    assert done.returncode == 0, done.stderr
    return PlaceHere(place.root), done


@pytest.fixture(scope="session")
def finished_here(tmp_path_factory):
    """The small grid, run once in this process: for what is the same wherever cells run."""
    place = PlaceHere(tmp_path_factory.mktemp("finished"))
    done = place.run()
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def one_seed(place):
    """The small grid with a cell for each model, in processes."""
    place.file.write_text(place.text.replace("seeds = [1, 2]", "seeds = [1]"))
    return place


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Address of a PostgreSQL of our own."""
    with postgresql(tmp_path_factory.mktemp("postgres") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def free_port():
    """Give `unused_port` to tests."""
    return unused_port


@pytest.fixture(scope="session")
def until():
    """Give `wait_until` to tests."""
    return wait_until


@pytest.fixture(scope="session")
def run_until():
    """Give `started` to tests."""
    return started


@pytest.fixture(scope="session")
def new_ledger(postgres):
    """Make an empty schema on the server of the tests; give the address of a ledger in it."""
    import psycopg

    server = make_url(postgres)
    numbers = itertools.count()

    def make() -> str:
        name = f"ledger_{next(numbers)}"
        whom = f"host={server.query['host']} user={server.username} dbname={server.database}"
        with psycopg.connect(whom, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        own = server.update_query_dict({"options": f"-csearch_path={name}"})
        return own.render_as_string(hide_password=False)

    return make


@pytest.fixture(scope="session")
def mlflow_serving():
    """Give `serving` to tests."""
    return serving


@pytest.fixture(scope="session")
def mlflow_on_postgres(postgres, tmp_path_factory):
    """Address of an MLflow server on PostgreSQL."""
    folder = tmp_path_factory.mktemp("mlflow-postgresql")
    with serving(postgres, folder) as url:
        yield url
