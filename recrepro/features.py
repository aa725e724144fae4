"""Side information: what is known of users and items besides interactions, as sparse matrices."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, hstack

from recrepro.durable import new_folder
from recrepro.errors import UnknownName, UsageError
from recrepro.labels import joined, packed, places, unpacked

Side = Literal["user", "item"]
FeatureNames = Annotated[str, Field(pattern=r"^[a-z0-9._+-]+(\s*,\s*[a-z0-9._+-]+)*$")]
"""Names of feature sets, separated by commas, as a hyperparameter."""
ALL = "all"
"""Stands for every feature set of a side but links, where a hyperparameter names feature sets."""


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """One kind of side information, such as the genres of movies, or friendships.

    Parameters
    ----------
    side : {"user", "item"}
        What it is known of.
    name : str
        What experiments call it.
    ids : array, shape (n,)
        The data set's labels of the rows, sorted and distinct.
    matrix : csr_array of float32, shape (n, n_columns)
        Mostly ones: whether a user or item has a feature; or how much of it.
    columns : array, shape (n_columns,)
        Names of the features; of links labels of users or items, like `ids`.
    links : bool
        Whether the columns are users or items themselves: friends, citations.
    """

    side: Side
    name: str
    ids: NDArray[Any]
    matrix: csr_array
    columns: NDArray[Any]
    links: bool = False

    def aligned(self, ids: NDArray[Any]) -> Self:
        """Return a row for each label, without values where nothing is known.

        Columns of links become the same labels; links to others are left out.
        """
        matrix = _rows_of(self.matrix, self.ids, ids)
        if not self.links:
            return replace(self, ids=ids, matrix=matrix)
        turned = _rows_of(csr_array(matrix.T), self.columns, ids)
        return replace(self, ids=ids, matrix=csr_array(turned.T), columns=ids)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of labels, names and values."""
        matrix = self.matrix.sorted_indices()
        digest = hashlib.sha256(f"{self.side}:{self.name}:{self.links};{matrix.shape};".encode())
        for labels in (self.ids, self.columns):
            digest.update(joined(labels))
        digest.update(matrix.indptr.astype(np.int64).tobytes())
        digest.update(matrix.indices.astype(np.int64).tobytes())
        digest.update(matrix.data.astype(np.float32).tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        n_rows, n_columns = self.matrix.shape
        return f"FeatureSet({self.side} {self.name}: {n_rows} x {n_columns}, {self.matrix.nnz})"


@dataclass(frozen=True, eq=False)
class Features:
    """The side information of a data set.

    Parameters
    ----------
    sets : tuple of FeatureSet
        Their names differ within a side.
    """

    sets: tuple[FeatureSet, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sets)

    def of(self, side: Side) -> dict[str, FeatureSet]:
        """Return the feature sets of users or of items, by name."""
        return {one.name: one for one in self.sets if one.side == side}

    def chosen(self, side: Side, names: str = ALL) -> tuple[FeatureSet, ...]:
        """Return feature sets by name.

        Parameters
        ----------
        side : {"user", "item"}
            Of whom.
        names : str
            Names separated by commas, or "all", which leaves links out.

        Raises
        ------
        UsageError
            If there is no such feature set, or none at all.
        """
        known = self.of(side)
        if names == ALL:
            found = tuple(one for one in known.values() if not one.links)
            if not found:
                links = f" (there are links: {', '.join(known)})" if known else ""
                raise UsageError(f"there are no features of {side}s{links}.")
            return found
        wanted = [name.strip() for name in names.split(",")]
        for name in wanted:
            if name not in known:
                raise UnknownName(f"{side} features", name, known)
        return tuple(known[name] for name in dict.fromkeys(wanted))

    def matrix(self, side: Side, names: str = ALL) -> csr_array:
        """Return feature sets side by side: float32, a row for each label."""
        found = [one.matrix for one in self.chosen(side, names)]
        joined = found[0] if len(found) == 1 else csr_array(hstack(found, format="csr"))
        joined.sort_indices()
        return joined

    def aligned(self, user_ids: NDArray[Any], item_ids: NDArray[Any]) -> Self:
        """Return the same for these users and items, in this order."""
        ids = {"user": user_ids, "item": item_ids}
        return replace(self, sets=tuple(one.aligned(ids[one.side]) for one in self.sets))

    @property
    def fingerprints(self) -> dict[str, str]:
        """The SHA-256 of each set, by side and name."""
        return {f"{one.side} {one.name}": one.fingerprint for one in self.sets}

    def store(self, folder: Path) -> None:
        """Write to a folder, which appears whole or not at all; nothing if it is there."""
        arrays: dict[str, NDArray[Any]] = {}
        for number, one in enumerate(self.sets):
            facts = np.array([one.side, one.name, str(int(one.links))])
            parts = {
                "facts": facts,
                **packed("ids", one.ids),
                **packed("columns", one.columns),
                "shape": np.array(one.matrix.shape),
                **{name: getattr(one.matrix, name) for name in _PARTS},
            }
            arrays |= {f"{number}.{name}": array for name, array in parts.items()}
        with new_folder(folder, is_whole=Path.is_dir) as draft, (draft / _FILE).open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy stubs: allow_pickle

    @classmethod
    def stored(cls, folder: Path) -> Self:
        """Read what `store` wrote (no pickle)."""
        with np.load(folder / _FILE, allow_pickle=False) as stored:
            arrays = dict(stored)
        return cls(tuple(_stored(arrays)))


def over_largest(features: csr_array, *, of_row: bool = False) -> csr_array:
    """Divide each column, or each row, by the largest of its values, signs aside.

    Parameters
    ----------
    features : csr_array, shape (n, n_features)
        A row for each user or item.
    of_row : bool
        Whether rows are divided, not columns.

    Returns
    -------
    csr_array of float32, shape (n, n_features)
        Rows and columns of zeros stay as they are.
    """
    largest = abs(features).max(axis=1 if of_row else 0).toarray().ravel()
    largest[largest == 0] = 1
    divisors = np.repeat(largest, np.diff(features.indptr)) if of_row else largest[features.indices]
    values = (features.data / divisors).astype(np.float32)
    return csr_array((values, features.indices, features.indptr), features.shape)


_FILE = "features.npz"
_PARTS = ("data", "indices", "indptr")


def _stored(arrays: Mapping[str, NDArray[Any]]) -> Iterator[FeatureSet]:
    for number in range(sum(name.endswith(".facts") for name in arrays)):
        side, name, links = arrays[f"{number}.facts"].tolist()
        shape = tuple(arrays[f"{number}.shape"].tolist())
        matrix = csr_array(tuple(arrays[f"{number}.{part}"] for part in _PARTS), shape=shape)
        ids, columns = (unpacked(f"{number}.{name}", arrays) for name in ("ids", "columns"))
        yield FeatureSet(side, name, ids, matrix, columns, links == "1")


def _rows_of(matrix: csr_array, labels: NDArray[Any], wanted: NDArray[Any]) -> csr_array:
    """Return the rows of the wanted labels; empty ones for labels that are not there."""
    rows = places(labels, wanted)
    known = rows >= 0
    picker = csr_array(
        (np.ones(known.sum(), np.float32), (np.flatnonzero(known), rows[known])),
        shape=(len(wanted), matrix.shape[0]),
    )
    found = csr_array(picker @ matrix, dtype=np.float32)
    found.sort_indices()
    return found


def described(sets: Iterable[FeatureSet]) -> str:
    """Return what there is in words: ``item genres (18), user friends (links)``."""
    return ", ".join(
        f"{one.side} {one.name} ({'links' if one.links else f'{one.matrix.shape[1]:,}'})"
        for one in sets
    )
