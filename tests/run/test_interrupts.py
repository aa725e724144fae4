"""Polite signals interrupt, and a server's own children end with it."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from recrepro.cli.ui import run_in_foreground
from recrepro.run.interrupts import signals_as_interrupt


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_signal_is_an_interrupt_and_the_handler_is_put_back(name):
    before = signal.getsignal(name)
    with pytest.raises(KeyboardInterrupt), signals_as_interrupt():
        os.kill(os.getpid(), name)
    assert signal.getsignal(name) is before


def test_the_exit_code_of_a_server_that_ends_by_itself_is_returned():
    assert run_in_foreground([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_a_server_and_its_children_end_with_the_command():
    grandchild = "import sys; sys.stdin.read()"
    server = (
        "import subprocess, sys; "
        f"p = subprocess.Popen([sys.executable, '-c', {grandchild!r}], stdin=subprocess.PIPE); "
        "print(p.pid, flush=True); p.wait()"
    )
    command = (
        "import sys; from recrepro.cli.ui import run_in_foreground; "
        f"sys.exit(run_in_foreground([sys.executable, '-c', {server!r}]))"
    )
    process = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, text=True)
    with process.stdout:
        child = psutil.Process(int(process.stdout.readline()))
        process.terminate()
        assert process.wait(timeout=60) == 0
    _, alive = psutil.wait_procs([child], timeout=60)
    assert alive == []


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_ignored(name):
    before = signal.signal(name, signal.SIG_IGN)
    try:
        with signals_as_interrupt():
            os.kill(os.getpid(), name)
            assert signal.getsignal(name) is signal.SIG_IGN
    finally:
        signal.signal(name, before)
