"""Makes the picture of the report in the docs: `python docs/report_picture.py [EXPERIMENT]`.

Runs the experiment (by default experiments/quickstart.toml) in a temporary workspace, or uses the
workspace that RECREPRO_WORKSPACE names, and photographs its report in Chromium.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/images/report.png"
RECREPRO = [sys.executable, "-c", "from recrepro.cli import main; main()"]


def photograph(page: Path) -> None:
    """Save what a window shows of a page."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--window-size=1100,2400",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    with Chrome(options=options, service=ChromeService(shutil.which("chromedriver"))) as browser:
        browser.get(page.as_uri())
        browser.save_screenshot(str(PICTURE))


def main() -> None:
    """Run the experiment, write its report, photograph it."""
    experiment = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "experiments/quickstart.toml")
    with tempfile.TemporaryDirectory() as folder:
        kept = os.environ.get("RECREPRO_WORKSPACE")
        where = ["--workspace", kept or f"{folder}/runs"]
        if not kept:
            subprocess.run([*RECREPRO, "run", experiment, *where], check=True)
        page = Path(folder) / "report.html"
        command = [*RECREPRO, "report", experiment, *where, "--output", str(page)]
        subprocess.run(command, check=True)
        photograph(page)
    print(PICTURE)


if __name__ == "__main__":
    main()
