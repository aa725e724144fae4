"""Builds the wheel of recrepro from the files that git knows."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copy_tracked(folder: Path) -> Path:
    """Copy the tracked files: setuptools leaves a build folder beside the sources."""
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def build_wheel(sources: Path, folder: Path) -> Path:
    """Build a wheel with the setuptools that is installed here; return its path in `folder`."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(sources)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel
