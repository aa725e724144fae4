"""What people call a cell: its path of titles, or the first characters of its key."""

import re
from collections.abc import Iterable

from recrepro.store.entries import Member


def paths(cell: Member) -> list[str]:
    """Return ``dataset/split/model``, and the same with ``/seed N``, and with ``/fold N``."""
    titles = cell.titles
    whole = [titles["dataset"], titles["split"], titles["model"], f"seed {titles['seed']}"]
    whole += [f"fold {titles['fold']}"] if "fold" in titles else []
    return ["/".join(whole[:n]) for n in range(3, len(whole) + 1)]


class CellNames:
    """Finds cells by name.

    Parameters
    ----------
    cells : iterable of Member
        Their keys, and their titles in an experiment; a cell may have several.
    """

    def __init__(self, cells: Iterable[Member]) -> None:
        self._keys: set[str] = set()
        self._by_name: dict[str, set[str]] = {}
        for cell in cells:
            self._keys.add(cell.cell)
            for path in paths(cell):
                self.add(path, cell.cell)

    def add(self, name: str, key: str) -> None:
        """Give a cell one more name."""
        self._by_name.setdefault(_plain(name), set()).add(key)

    def find(self, name: str) -> set[str]:
        """Return the keys of all cells with a name, or whose keys start with it (8 or more)."""
        found = self._by_name.get(_plain(name), set())
        if not found and re.fullmatch(r"[0-9a-f]{8,64}", name):
            return {key for key in self._keys if key.startswith(name)}
        return found


def _plain(name: str) -> str:
    """Write a name without the spaces around its slashes."""
    return re.sub(r"\s*/\s*", "/", name.strip())
