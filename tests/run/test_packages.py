"""What a package needs, compared with what pip says is installed."""

import json
import subprocess
import sys

from packaging.utils import canonicalize_name

from recrepro.run.packages import all_installed, needed


def test_versions_are_those_that_pip_lists():
    command = [sys.executable, "-m", "pip", "list", "--format", "json"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert all_installed() == {canonicalize_name(p["name"]): p["version"] for p in listed}


def test_direct_and_indirect_needs_are_found_and_extras_only_on_request():
    plain = needed(("recrepro",))
    assert {"recrepro", "numpy", "mlflow", "alembic", "mako"} <= plain.keys()
    assert not {"torch", "pytest"} & plain.keys()
    assert needed(("recrepro[test]",)).keys() >= plain.keys() | {"pytest"}
    assert needed(("no-such-package",)) == {}
