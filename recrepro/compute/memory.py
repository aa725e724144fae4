"""How much memory there is, and a refusal in good time where it is not enough."""

import re
from pathlib import Path

import psutil

from recrepro.errors import ModelError, RecreproError
from recrepro.text.words import size

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use."""


def available_bytes() -> int:
    """Return how much memory a process can still get, within the limit of its container."""
    left = int(psutil.virtual_memory().available)
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        # What files occupy is given back on demand.
        lines = (line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        cached = sum(int(value) for name, value in lines if name == "inactive_file")
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return left
    return min(left, limit - used + cached)


def parse_bytes(text: str) -> int:
    """Read a size such as ``8GB``, ``512 MB`` or ``1.5GiB``.

    Raises
    ------
    ValueError
        If it is none.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([kMGT])(i?)B", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no size: write a number and its unit, such as 8GB or 512MB.")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** ("kMGT".index(unit) + 1))


def require_memory(
    who: str, needed: int, advice: str, refusal: type[RecreproError] = ModelError
) -> None:
    """Refuse what would not fit, before it begins.

    Parameters
    ----------
    who : str
        What needs the memory.
    needed : int
        Bytes.
    advice : str
        What to do instead.
    refusal : type of RecreproError
        The error to raise.

    Raises
    ------
    ModelError, or what `refusal` says
        With both figures and the advice.
    """
    available = available_bytes()
    if needed > available:
        raise refusal(
            f"{who} needs about {size(needed)} of memory, but {size(available)} are "
            f"available. {advice}"
        )
