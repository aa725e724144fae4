"""Fail points end a process at the place and the pass that the environment names."""

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import recrepro
from recrepro.cli import cli
from recrepro.compute.failpoints import POINTS, VARIABLE, chosen, reach
from recrepro.errors import UnknownName, UsageError


def test_each_fail_point_is_at_one_place():
    reached = [
        node.args[0].value
        for path in Path(recrepro.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id == "reach"
    ]
    assert sorted(reached) == sorted(POINTS)


@pytest.mark.parametrize(
    ("fail_at", "passes"),
    [("blob-stored", 0), ("blob-stored:1", 0), ("blob-stored:3", 2), ("blob-drafted", 4), ("", 4)],
)
def test_the_process_is_killed_on_the_chosen_pass_of_the_chosen_point(fail_at, passes):
    code = (
        "from recrepro.compute.failpoints import reach\n"
        "for _ in range(4):\n"
        "    reach('blob-stored')\n"
        "    print('passed', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={VARIABLE: fail_at},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.stdout.count("passed") == passes
    assert done.returncode == (0 if passes == 4 else -signal.SIGKILL)


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ("blob-stord", UnknownName, "Did you mean 'blob-stored'"),
        ("blob-stored:0", UsageError, "'0' is not the number of a pass"),
        ("blob-stored:", UsageError, "'' is not the number of a pass"),
        ("blob-stored:x", UsageError, "'x' is not the number of a pass"),
    ],
)
def test_what_names_no_fail_point_is_refused_before_any_work(monkeypatch, wrong, error, said):
    monkeypatch.setenv(VARIABLE, wrong)
    for ask in (chosen, lambda: reach("blob-drafted"), lambda: call("ls")):
        with pytest.raises(error, match=said):
            ask()


def call(*arguments):
    cli.main(list(arguments), standalone_mode=False)
