"""Leases: which process holds a cell, and whether it is still there."""

import os
import socket
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
from pydantic import Field

from recrepro.spec.identity import Plain

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


class _Owner(Plain):
    """The process that holds a lease; that of an older recrepro says less."""

    host: str
    pid: int = Field(ge=0, lt=2**31)
    place: str | None = None
    born: float | None = None
    since: float | None = Field(None, ge=0, lt=2**37)


def this_process() -> str:
    """Describe this process as the owner of a lease, as JSON."""
    pid = os.getpid()
    process = _Owner(
        host=socket.gethostname(), pid=pid, place=_place(), born=_birth(pid), since=time.time()
    )
    return process.model_dump_json()


def lease_of(owner: str, deadline: float, now: float) -> Lease:
    """Read an owner, and say whether its lease is alive at a time.

    It is while it is in time, and its process not known to be dead. Only processes of the same boot
    of the same machine, and of the same container, can be known to be dead before their time is
    over: elsewhere, the same number is another process.

    Raises
    ------
    pydantic.ValidationError
        If the owner is not what `this_process` has written.
    """
    process = _Owner.model_validate_json(owner)
    here = process.host == socket.gethostname() and process.place == _place()
    dead = now > deadline or (here and _birth(process.pid) != process.born)
    return Lease(process.host, process.pid, process.since, not dead)


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
