"""Leases: which process holds a cell, and whether it is still there."""

import json
import os
import socket
import time
from dataclasses import dataclass

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
    process = psutil.Process()
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "born": process.create_time()}
    return json.dumps({**owner, "since": time.time()})


def lease_of(owner: str, deadline: float, now: float) -> Lease:
    """Read an owner, and say whether its lease is alive at a time."""
    process = json.loads(owner)
    alive = is_held(owner, deadline, now)
    return Lease(process["host"], process["pid"], process.get("since"), alive)


def is_held(owner: str, deadline: float, now: float) -> bool:
    """Say whether a lease is alive: in time, and its process not known to be dead."""
    if now > deadline:
        return False
    process = json.loads(owner)
    if process["host"] != socket.gethostname():
        return True
    try:
        born = psutil.Process(process["pid"]).create_time()
    except psutil.NoSuchProcess:
        return False
    return bool(abs(born - process["born"]) < 1.0)
