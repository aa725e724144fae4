"""A test without a mark that takes long fails: `make test` has to stay short.

CPU time counts, of the test with its fixtures and of the processes that they have waited for. It
hardly depends on what else the machine does, as wall time would. Time in numba's compiler does not
count: it is spent once per machine, by whichever test comes first. `RECREPRO_NO_CPU_LIMIT=1` lifts
the limit: at night, properties are tried with more than ten times as many examples.
"""

import os
import time

import pytest
from numba.core import event

LIMIT = 10.0
"""CPU seconds that a test may take."""
NOISE = 1.5
"""The same test takes up to half as long again where other processes share the cores."""
MARKS = ("slow", "nightly", "realdata")

_BEGAN = pytest.StashKey[float]()


class _Compilation(event.Listener):
    """CPU seconds in numba's compiler."""

    def __init__(self):
        self.seconds, self._depth, self._began = 0.0, 0, 0.0

    def on_start(self, event):
        if self._depth == 0:
            self._began = time.process_time()
        self._depth += 1

    def on_end(self, event):
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.process_time() - self._began


_COMPILATION = _Compilation()
event.register("numba:compile", _COMPILATION)


def _spent() -> float:
    return sum(os.times()[:4]) - _COMPILATION.seconds


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Note when a test begins."""
    item.stash[_BEGAN] = _spent()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let a test fail that has passed, but took too long."""
    report = yield
    limited = "RECREPRO_NO_CPU_LIMIT" not in os.environ
    unmarked = not any(map(item.get_closest_marker, MARKS))
    if limited and unmarked and call.when == "call" and report.passed:
        spent = _spent() - item.stash[_BEGAN]
        if spent > LIMIT * NOISE:
            report.outcome = "failed"
            report.longrepr = (
                f"{item.nodeid} took {spent:.1f} CPU seconds with its fixtures; without a mark, a "
                f"test may take {LIMIT:g}. Make it cheaper (less data, a fixture for the whole "
                "module, no subprocess), or mark it `slow` if every push needs it all the same, or "
                "`nightly`, with the reason beside the mark."
            )
    return report
