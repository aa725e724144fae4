"""Makes the pictures in the docs: `python docs/pictures.py [mlflow] [report]`, by default both.

Runs experiments/quickstart.toml in a temporary workspace, and photographs in Chromium the page of
`recrepro ui` and the report of `recrepro report`.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).parents[1]
EXPERIMENT = str(ROOT / "experiments/quickstart.toml")
SORTED = "&orderByKey=metrics.%60ndcg_at_10%60&orderByAsc=false"
RECREPRO = [sys.executable, "-m", "recrepro"]
PATIENCE = 180
"""Seconds to wait for a page."""


def chromium(size: str) -> Chrome:
    """Open a browser without a window, which reaches this machine only."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        f"--window-size={size}",
        # As with a mouse, so that charts keep their tools hidden.
        "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    return Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))


def photograph_mlflow(where: list[str], picture: str) -> None:
    """Start `recrepro ui`, open the page that it prints, and wait for its charts."""
    server = subprocess.Popen(
        [*RECREPRO, "ui", *where, "--port", "5055"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = ""
        for line in server.stdout:
            said += line
            if "Uvicorn running on" in line:
                break
        with chromium("1280,960") as browser:
            wait = WebDriverWait(browser, PATIENCE).until
            browser.get(re.search(r"http\S+/runs\?\S+", said)[0] + SORTED)
            close = "button[aria-label='Close']"
            for button in wait(lambda b: b.find_elements("css selector", close)):
                button.click()  # MLflow's assistant
            bars = ".js-plotly-plot .bars .point"
            wait(lambda b: len(b.find_elements("css selector", bars)) > 30)
            browser.save_screenshot(picture)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def photograph_report(where: list[str], picture: str) -> None:
    """Write a report and open it."""
    with tempfile.TemporaryDirectory() as folder, chromium("1100,2400") as browser:
        page = Path(folder) / "report.html"
        command = [*RECREPRO, "report", EXPERIMENT, *where, "--output", str(page)]
        subprocess.run(command, check=True)
        browser.get(page.as_uri())
        browser.save_screenshot(picture)


def main() -> None:
    """Run the experiment and make what is asked for."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    pictures = {"mlflow": photograph_mlflow, "report": photograph_report}
    with tempfile.TemporaryDirectory() as workspace:
        where = ["--workspace", workspace]
        subprocess.run([*RECREPRO, "run", EXPERIMENT, *where], check=True)
        for name in sys.argv[1:] or pictures:
            picture = str(ROOT / f"docs/images/{name}.png")
            pictures[name](where, picture)
            print(picture)


if __name__ == "__main__":
    main()
