"""Leases: whose process is known to be dead."""

import json
import os
import subprocess
import sys
import time

import pytest

from recrepro.store import leases

LATER = 1e12


def test_a_process_that_lives_holds_its_lease_until_the_deadline():
    owner = leases.this_process()
    assert leases.lease_of(owner, LATER, time.time()).alive
    assert not leases.lease_of(owner, 10.0, 10.5).alive


def test_a_process_that_has_ended_does_not():
    code = "from recrepro.store.leases import this_process; print(this_process())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not leases.lease_of(done.stdout, LATER, time.time()).alive


@pytest.mark.parametrize(
    "change",
    [{"host": "elsewhere"}, {"place": "another boot"}, {"place": None}],
)
def test_of_another_machine_boot_or_container_nobody_is_known_to_be_dead(change):
    owner = json.loads(leases.this_process()) | {"pid": 2**22 + 1} | change
    assert leases.lease_of(json.dumps(owner), LATER, time.time()).alive
    assert not leases.lease_of(json.dumps(owner), 10.0, 10.5).alive


def test_another_process_with_the_same_number_is_not_the_owner():
    owner = json.loads(leases.this_process()) | {"pid": os.getppid()}
    assert not leases.lease_of(json.dumps(owner), LATER, time.time()).alive


def test_a_clock_that_is_set_does_not_make_a_process_another_one(monkeypatch):
    owner = leases.this_process()
    monkeypatch.setattr("psutil.Process", None)  # what it says moves with the clock
    assert leases.lease_of(owner, LATER, time.time()).alive
