"""The command line in the process of the tests: a whole run without starting another process.

Loading the command line and a worker for each cell takes seconds; the small cells of tests take
milliseconds. Tests that ask what is recorded or printed run here, those about processes do not.
"""

import contextlib
import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import Place

from recrepro import cli
from recrepro.compute.threads import limited
from recrepro.models import MODELS
from recrepro.run.inline import Inline


@contextlib.contextmanager
def cells_here():
    """Run cells in this process where `run` and `reproduce` would start one for each.

    Unlike those of `--executor inline` their records are as those from processes, so that tables,
    snapshots and copies can be made of them. Tests alone may do so: `test_run.py` compares such a
    run with one in processes bit by bit.
    """
    with pytest.MonkeyPatch.context() as patch, limited(1):
        for module in ("recrepro.cli.grid", "recrepro.reproduce.refit"):
            patch.setattr(f"{module}.LocalProcesses", lambda *_: Inline())
        patch.setattr("recrepro.cli.run._started_ahead", lambda **_: contextlib.nullcontext())
        yield


class PlaceHere(Place):
    """A place whose commands, and the cells that they start, run in this process."""

    def call(self, *arguments: str) -> subprocess.CompletedProcess:
        """Call the command line, as `Place.call` does in another process."""
        return call_here(arguments, self.root, {"COLUMNS": "200"} | self.environment)


def call_here(
    arguments, folder: Path, environment: dict[str, str], encoding: str = "utf-8"
) -> subprocess.CompletedProcess:
    """Call the command line in a folder, with variables; return its exit code and its output."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, newline="") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        for context in (cells_here(), contextlib.redirect_stdout(out)):
            stack.enter_context(context)
        stack.enter_context(contextlib.redirect_stderr(err))
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["recrepro", *arguments])
        # It would end this process, if something were still being copied to a slow server.
        patch.setattr(cli, "_leave", sys.exit)
        for name, value in environment.items():
            patch.setenv(name, value)
        if "PYTHONPATH" in environment:
            _install(patch, environment["PYTHONPATH"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    code = ended.value.code
    said = [stream.detach().getvalue().decode(encoding) for stream in (out, err)]
    return subprocess.CompletedProcess(arguments, code or 0, *said)


def _install(patch: pytest.MonkeyPatch, paths: str) -> None:
    """Let the registry of models find what is installed in folders."""
    for path in reversed(paths.split(os.pathsep)):
        patch.syspath_prepend(path)
    importlib.invalidate_caches()
    for name in ("_targets", "_origins", "_faults"):
        patch.setattr(MODELS, name, type(getattr(MODELS, name))(getattr(MODELS, name)))
    patch.setattr(MODELS, "_loaded", False)
