"""The name of a cell: what an experiment calls its parts, in words and as a path."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, model_serializer


class CellName(BaseModel):
    """What an experiment calls the parts of a cell.

    Parameters
    ----------
    dataset, split, model : str
        Titles in the experiment file.
    seed : int
        Seed of the split.
    fold : int or None
        Number of the fold, from 1; None where a seed gives one split only.
    fit : int or None
        Number of the final fit, from 1; None where there is one only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    fit: int | None = None
    fold: int | None = None
    model: str
    seed: int
    split: str

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: Callable[["CellName"], dict[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value is not None}

    @property
    def draw(self) -> list[str]:
        """Seed, and fold if there is one, each in words: which draw of the split it is."""
        return [f"seed {self.seed}", *([] if self.fold is None else [f"fold {self.fold}"])]

    @property
    def repeat(self) -> str:
        """Seed, and fold if there is one, in one text."""
        return ", ".join(self.draw)

    @property
    def numbers(self) -> list[str]:
        """Seed, fold and final fit, each in words, as far as there are several."""
        return [*self.draw, *([] if self.fit is None else [f"fit {self.fit}"])]

    @property
    def paths(self) -> list[str]:
        """``dataset/split/model``, and the same with the seed, with the fold and with the fit."""
        parts = [self.dataset, self.split, self.model, *self.numbers]
        return ["/".join(parts[:n]) for n in range(3, len(parts) + 1)]

    @property
    def path(self) -> str:
        """The longest of `paths`, such as ``dataset/split/model/seed 1/fold 2``."""
        return self.paths[-1]


class CellNames:
    """Finds cells by name.

    Parameters
    ----------
    cells : iterable of (str, CellName)
        Keys and names; a cell may have several names.
    """

    def __init__(self, cells: Iterable[tuple[str, CellName]]) -> None:
        self._keys: set[str] = set()
        self._by_name: dict[str, set[str]] = {}
        for key, name in cells:
            self._keys.add(key)
            for path in name.paths:
                self.add(path, key)

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
