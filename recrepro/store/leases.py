"""Leases: which process holds a cell, and whether it is still there."""

import json
import os
import socket
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

LEASE_SECONDS = 60.0
"""A lease that was not renewed for this long may be taken over."""


@dataclass(frozen=True)
class Lease:
    """Who holds a cell: host and process, since when (seconds since 1970), and whether it lives.

    `since` is None where an older recrepro wrote the lease. A lease that is not alive may be taken
    over by any run.
    """

    host: str
    pid: int
    since: float | None
    alive: bool


def this_process() -> str:
    """Describe this process as the owner of a lease, as JSON."""
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "place": _place()}
    return json.dumps({**owner, "born": _birth(os.getpid()), "since": time.time()})


def lease_of(owner: str, deadline: float, now: float) -> Lease:
    """Read an owner, and say whether its lease is alive at a time."""
    process = json.loads(owner)
    alive = is_held(owner, deadline, now)
    return Lease(process["host"], process["pid"], process.get("since"), alive)


def is_held(owner: str, deadline: float, now: float) -> bool:
    """Say whether a lease is alive: in time, and its process not known to be dead.

    Only processes of the same boot of the same machine, and of the same container, can be known to
    be dead before their time is over: elsewhere, the same number is another process.
    """
    if now > deadline:
        return False
    process = json.loads(owner)
    if process["host"] != socket.gethostname() or process.get("place") != _place():
        return True
    return bool(_birth(process["pid"]) == process["born"])


@cache
def _place() -> str:
    """Return the boot of this machine, and the namespace of its process numbers, if it tells."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _birth(pid: int) -> float | None:
    """Return when a process was started; None if there is none.

    In ticks since the boot where the system tells them, because they do not move with the clock.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        return float(text.rpartition(")")[2].split()[19])
    except OSError:
        pass
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
