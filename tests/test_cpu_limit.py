"""A test that takes long has to carry a mark."""

from unittest.mock import patch

import pytest
from numba.core.registry import cpu_target
from support import cpu_limit

pytest_plugins = ["pytester"]

TESTS = """
import subprocess, sys, time
import pytest
from numba import njit

BURN = "import time\\nwhile time.process_time() < {}: pass"

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

@pytest.fixture
def costly():
    burn(0.4)

def test_short(): pass
def test_long(): burn(0.4)
def test_long_with_its_fixture(costly): pass
def test_long_in_a_process_of_its_own():
    subprocess.run([sys.executable, "-c", BURN.format(0.4)], check=True)
def test_idle(): time.sleep(0.4)
def test_that_only_compiles():
    began = time.process_time()
    njit(lambda x: sorted([x, x + 1]))(1.0)
    assert time.process_time() - began > 0.4
@pytest.mark.slow
def test_long_with_a_mark(): burn(0.4)
def test_long_that_fails():
    burn(0.4)
    assert False, "its own message"
"""


@pytest.fixture(autouse=True, scope="module")
def _compiler_is_loaded():
    # pytester forgets the modules that an inner run has imported. numba registers what it imports
    # when it first compiles, and does not bear to do so again in a later test.
    cpu_target.target_context.refresh()


@pytest.fixture
def run(pytester, monkeypatch):
    monkeypatch.delenv("RECREPRO_NO_CPU_LIMIT", raising=False)
    pytester.makeini("[pytest]\nmarkers = slow")
    pytester.makepyfile(TESTS)
    with patch.object(cpu_limit, "LIMIT", 0.2):  # not longer: this test is judged, too
        return pytester.inline_run("-p", "no:cacheprovider", plugins=[cpu_limit])


def test_a_test_that_takes_long_without_a_mark_fails_and_says_what_to_do(run):
    passed, _, failed = run.listoutcomes()
    messages = {report.location[2]: str(report.longrepr) for report in failed}
    assert {report.location[2] for report in passed} == {
        "test_short",
        "test_idle",
        "test_that_only_compiles",
        "test_long_with_a_mark",
    }
    assert "its own message" in messages.pop("test_long_that_fails")
    assert messages.keys() == {
        "test_long",
        "test_long_with_its_fixture",
        "test_long_in_a_process_of_its_own",
    }
    for message in messages.values():
        assert "a test may take 0.2" in message
        assert "mark it `slow`" in message


def test_at_night_there_is_no_limit(pytester, monkeypatch):
    monkeypatch.setenv("RECREPRO_NO_CPU_LIMIT", "1")
    pytester.makepyfile("def test_long(): sum(range(100_000))")
    with patch.object(cpu_limit, "LIMIT", 0.0):
        found = pytester.inline_run("-p", "no:cacheprovider", plugins=[cpu_limit])
    passed, _, failed = found.listoutcomes()
    assert (len(passed), failed) == (1, [])
