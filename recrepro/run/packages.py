"""Installed packages: what a package needs, directly or through others, in which version."""

from functools import cache
from importlib.metadata import distributions
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class _Package(NamedTuple):
    version: str
    requires: list[str]


@cache
def needed(roots: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of some packages and of all that they need.

    Parameters
    ----------
    roots : tuple of str
        Requirements, such as ``recrepro[neural]``. What is not installed is left out.

    Returns
    -------
    dict of str to str
        Versions by normalised name, sorted.
    """
    here = _installed()
    found: dict[str, str] = {}
    waiting = [Requirement(root) for root in roots]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), ("", *sorted(requirement.extras))
        if name not in here or (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = here[name].version
        waiting += [
            part
            for part in map(Requirement, here[name].requires)
            if part.marker is None or any(part.marker.evaluate({"extra": e}) for e in extras)
        ]
    return dict(sorted(found.items()))


def all_installed() -> dict[str, str]:
    """Return the versions of all installed packages by normalised name, sorted."""
    return {name: package.version for name, package in sorted(_installed().items())}


@cache
def _installed() -> dict[str, _Package]:
    """Read what is installed, once: it takes a tenth of a second.

    Of two packages of one name, the first on the path counts: it is the one that is imported.
    """
    found: dict[str, _Package] = {}
    for one in distributions():
        metadata = one.metadata  # parsed anew each time that it is asked for
        package = _Package(metadata["Version"], metadata.get_all("Requires-Dist") or [])
        found.setdefault(canonicalize_name(metadata["Name"]), package)
    return found
