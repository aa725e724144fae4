"""Makes the picture of MLflow in the docs: `python docs/pictures.py`.

Runs experiments/quickstart.toml in a temporary workspace, starts `recrepro ui` on it, and
photographs the page that this prints, in Chromium.
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
EXPERIMENT = ROOT / "experiments/quickstart.toml"
PICTURE = ROOT / "docs/images/mlflow.png"
SORTED = "&orderByKey=metrics.%60ndcg_at_10%60&orderByAsc=false"
RECREPRO = [sys.executable, "-c", "from recrepro.cli import main; main()"]
PATIENCE = 180
"""Seconds to wait for a page."""


def photograph(page: str) -> None:
    """Open a page of MLflow, wait for its charts, and save what the window shows."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--window-size=1280,960",
        # As with a mouse, so that charts keep their tools hidden.
        "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    with Chrome(options=options, service=ChromeService(shutil.which("chromedriver"))) as browser:
        wait = WebDriverWait(browser, PATIENCE).until
        browser.get(page + SORTED)
        for button in wait(lambda b: b.find_elements("css selector", "button[aria-label='Close']")):
            button.click()  # MLflow's assistant
        wait(lambda b: len(b.find_elements("css selector", ".js-plotly-plot .bars .point")) > 30)
        browser.save_screenshot(str(PICTURE))


def main() -> None:
    """Run the experiment, show it, photograph it."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as workspace:
        where = ["--workspace", workspace]
        subprocess.run([*RECREPRO, "run", str(EXPERIMENT), *where], check=True)
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
            photograph(re.search(r"http\S+/runs\?\S+", said)[0])
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
    print(PICTURE)


if __name__ == "__main__":
    main()
