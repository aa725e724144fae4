"""What is installed: one top-level name, every module, and only pinned versions."""

import re
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_one_top_level_name_and_every_file(tmp_path):
    # A copy: setuptools leaves a build folder beside the sources.
    copy = tmp_path / "copy"
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(tmp_path), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if ".dist-info/" not in n]
    assert {name.split("/")[0] for name in names} == {"recrepro"}
    folders = {
        "recrepro": "recrepro",
        "baselines": "recrepro/baselines",
        "neural": "recrepro/neural",
    }
    expected = {
        f"{target}/{path.relative_to(copy / folder)}"
        for folder, target in folders.items()
        for path in (copy / folder).rglob("*")
        if path.is_file()
    }
    assert set(names) == expected


def test_every_installed_package_is_pinned():
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().lower().splitlines()
        if "==" in line
    )
    plain = {re.sub(r"[-_.]+", "-", name): version for name, version in pins.items()}
    installed = {  # less the name of a build, as in 2.13.0+cpu
        re.sub(r"[-_.]+", "-", d.metadata["Name"].lower()): d.version.lower().split("+")[0]
        for d in distributions()
        if d.metadata["Name"] != "recrepro"
    }
    assert {n: v for n, v in installed.items() if plain.get(n) != v} == {}


def test_torch_is_pinned_to_the_build_without_accelerator_packages():
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()
