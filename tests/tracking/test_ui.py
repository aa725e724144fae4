"""MLflow's pages, opened in a browser as people open them: recrepro ui, then clicks."""

import re

import psutil
import pytest
from support.results import make_name

pytestmark = pytest.mark.slow
PATIENCE = 180
"""Seconds that a page may take to show something, however loaded the machine is."""

# MLflow's own: it asks who is logged in where nobody can log in; a browser's note on layout.
NOISE = ("ajax-api/2.0/mlflow/users/current", "ResizeObserver loop completed")


@pytest.fixture(scope="module")
def ui(toy, until, run_until, free_port, tmp_path_factory):
    """A running `recrepro ui`: its process, and the page of the experiment that it printed."""
    log, port = tmp_path_factory.mktemp("ui") / "log", free_port()
    command = toy.command("ui", "--workspace", str(toy.workspace.root), "--port", str(port))
    with run_until(command, log) as process:
        until(lambda: "Uvicorn running on" in log.read_text(), process, f"recrepro ui ({log})")
        (page,) = re.findall(r"^  toy\n    (\S+)$", log.read_text(), re.MULTILINE)
        assert page.startswith(f"http://127.0.0.1:{port}/#/experiments/")
        yield process, page
    assert process.returncode == 0
    assert not any(c.laddr.port == port for c in psutil.net_connections() if c.status == "LISTEN")


@pytest.fixture
def wait(browser):
    """Wait for what a condition returns."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, PATIENCE).until


@pytest.fixture
def shows(browser, wait):
    """Wait until the page shows a text, whatever its line breaks."""

    def shows(text):
        wait(lambda _: text in " ".join(browser.find_element("tag name", "body").text.split()))

    return shows


@pytest.fixture
def clean_console(browser):
    """Fail if the pages of a test wrote errors to the console."""
    yield
    errors = [
        line["message"]
        for line in browser.get_log("browser")
        if line["level"] == "SEVERE" and not any(noise in line["message"] for noise in NOISE)
    ]
    assert errors == []


def test_only_this_machine_can_reach_it(ui):
    process, _ = ui
    everything = [process.pid, *(p.pid for p in psutil.Process(process.pid).children(True))]
    listening = {
        c.laddr.ip
        for c in psutil.net_connections(kind="inet")
        if c.pid in everything and c.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}


@pytest.mark.usefixtures("clean_console")
def test_the_page_lists_tested_models_and_charts_their_metrics(browser, ui, shows):
    browser.get(ui[1])
    shows("7 matching runs")  # six cells, and one that failed; no trials
    for model in ("toppopular", "ease", "gmf"):
        for seed in (1, 2):
            shows(f"{model} · random-holdout · synthetic-small · seed {seed}")
    shows("Model metrics")
    for metric in ("ndcg_at_10", "recall_at_5"):
        shows(metric)


@pytest.mark.usefixtures("clean_console")
def test_a_click_on_a_run_shows_its_metrics_its_data_and_its_curves(browser, ui, shows, wait, toy):
    name = "gmf · random-holdout · synthetic-small · seed 2"
    browser.get(ui[1])
    wait(lambda b: b.find_elements("link text", name))[0].click()
    with toy.ledger() as ledger:
        members = ledger.members("toy", toy.experiment.grid_hash)
        name = make_name("gmf", dataset="synthetic-small", split="random-holdout", seed=2)
        (cell,) = [m.cell for m in members if m.name == name]
        record = ledger.status(cell).record
    shows(f"ndcg_at_10 {record.metrics['ndcg@10']}")
    shows("recrepro.family : neural")
    shows(f"synthetic-small ({record.identity.data.fingerprint[:32]})")
    shows("gmf · trial 0")
    wait(lambda b: b.find_elements("xpath", "//button[@role='tab' and . = 'Model metrics']"))[
        0
    ].click()
    shows("score_seconds")
    # Charts below the window are not drawn: filter them.
    (field,) = wait(
        lambda b: b.find_elements("css selector", "[placeholder='Search metric charts']")
    )
    field.send_keys("training")
    shows("training.best_trial.validation.ndcg_at_10")
    shows("training.loss")


@pytest.mark.usefixtures("clean_console")
def test_two_runs_side_by_side_have_readable_names(browser, ui, shows, wait):
    browser.get(ui[1])
    shows("7 matching runs")
    boxes = wait(lambda b: b.find_elements("css selector", ".ag-row .ag-selection-checkbox"))
    names = [link.text for link in browser.find_elements("css selector", "a[href*='/runs/']")]
    for box in boxes[:2]:
        box.click()
    wait(lambda b: b.find_elements("xpath", "//button[normalize-space(.)='Compare']"))[0].click()
    shows("Comparing 2 Runs from 1 Experiment")
    assert "compare-runs" in browser.current_url
    for name in names[:2]:
        assert re.fullmatch(r"[a-z]+ · random-holdout · synthetic-small · seed \d", name)
        shows(name)
