"""What is installed: one top-level name, every module, and only pinned versions."""

import re
import zipfile
from importlib.metadata import distributions

from support.wheel import ROOT, build_wheel, copy_tracked


def test_the_wheel_holds_one_top_level_name_and_every_file(tmp_path):
    copy = copy_tracked(tmp_path / "copy")
    with zipfile.ZipFile(build_wheel(copy, tmp_path)) as archive:
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
