"""Named data sets: their catalogue, and how they are downloaded and loaded.

The catalogue is data: the TOML files beside this module, one for each family, in which each table
is a data set. `recrepro.data.catalogue.entry` describes the keys,
`recrepro.data.catalogue.load.load_named` reads the data sets.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.abc import Traversable
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from recrepro.data.catalogue.entry import NamedDataset, Source
from recrepro.errors import DataError, UnknownName
from recrepro.spec.explain import explain

__all__ = ["DATASETS", "FAMILIES", "Catalogue", "NamedDataset", "Source", "find_entry"]

FAMILIES = (
    "movielens",
    "articles_books_music",
    "reviews",
    "games",
    "sessions",
    "s3rec",
    "amazon_2014",
    "amazon_2018",
    "published_splits",
)
"""The TOML files, in the order in which ``recrepro ls datasets`` lists them."""

_SHARED = ("licence", "citation", "features")
"""Keys whose value another data set can provide: ``licence_of = "movielens-1m"``."""


class Catalogue(Mapping[str, NamedDataset]):
    """Named data sets in TOML files; nothing is read before it is needed.

    Parameters
    ----------
    folder : Traversable
        The folder of the files.
    families : sequence of str
        Names of the files without ``.toml``, in the order of the data sets.

    Raises
    ------
    DataError
        At first use, if a file is not as `NamedDataset` describes: it names the file, the key and
        what is allowed.
    """

    def __init__(self, folder: Traversable, families: Sequence[str]) -> None:
        self._folder = folder
        self._families = families
        self._entries: dict[str, NamedDataset] = {}

    def __getitem__(self, name: str) -> NamedDataset:
        if name not in self._entries:
            file, table = self._tables[name]
            place = f"{file}, {name}"
            complete = self._with_shared(table, place)
            try:
                # In JSON mode, the strict schema accepts arrays for tuples.
                entry = NamedDataset.model_validate_json(json.dumps(complete, default=str))
            except ValidationError as error:
                raise DataError(explain(error, NamedDataset, place)) from error
            self._entries[name] = entry
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    @cached_property
    def _tables(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Each data set's file and table, which is not validated yet."""
        tables: dict[str, tuple[str, dict[str, Any]]] = {}
        for family in self._families:
            file = f"{family}.toml"
            try:
                content = tomllib.loads(self._folder.joinpath(file).read_text(encoding="utf-8"))
            except tomllib.TOMLDecodeError as error:
                raise DataError(f"{file} is not valid TOML: {error}.") from error
            defaults = content.pop("defaults", {})
            for name, table in content.items():
                if not isinstance(table, dict):
                    raise DataError(
                        f"{file}: {name!r} is in no table. Put it below [defaults], or below the "
                        f"name of a data set such as [my-data]."
                    )
                if name in tables:
                    raise DataError(f"{file}: the data set {name!r} is in {tables[name][0]}, too.")
                tables[name] = (file, {**defaults, **table})
        return tables

    def _with_shared(self, table: dict[str, Any], place: str) -> dict[str, Any]:
        """Return a table with the values that other data sets provide."""
        complete = dict(table)
        for key in _SHARED:
            if f"{key}_of" not in table:
                continue
            other = complete.pop(f"{key}_of")
            _, others = self._tables.get(other, ("", {}))
            if key in table or key not in others:
                raise DataError(
                    f"{place}: {key}_of = {other!r} must name a data set that has the key {key!r} "
                    f"itself, and stands in place of {key!r}."
                )
            complete[key] = others[key]
        return complete


DATASETS: Mapping[str, NamedDataset] = Catalogue(files(__name__), FAMILIES)
"""Every named data set, by the name that experiment files use."""


def find_entry(name: str) -> NamedDataset:
    """Return what is known of a named data set.

    Raises
    ------
    UnknownName
        If there is no such data set.
    """
    if name not in DATASETS:
        hint = 'List them: recrepro ls datasets. For data of your own, write file = "..." too.'
        raise UnknownName("data set", name, DATASETS, hint)
    return DATASETS[name]
