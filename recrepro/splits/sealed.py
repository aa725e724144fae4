"""A split on disk: what tuning may see, and the test part under its seal.

Both are encrypted, with two keys. Tuning code gets a `TuningView`, which holds no test data and no
path to it; the process that it runs in has the key for tuning only. The key of the test part comes
from the coordinator, once, after the coordinator has written the opening to the ledger. Users and
items have secret numbers (`recrepro.splits.numbers`); their labels lie with the test part.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.compute.failpoints import reach
from recrepro.durable import new_file, new_folder
from recrepro.errors import SealError
from recrepro.interactions import UNITS, Interactions
from recrepro.labels import Labels, packed, unpacked
from recrepro.splits.base import Parts
from recrepro.splits.keys import SplitKeys, rankings_key, read_locked, write_locked
from recrepro.splits.numbers import SecretNumbers, hidden_labels, in_secret_order

TUNING, KNOWN, SEALED = FILES = ("tuning.bin", "known.bin", "sealed.bin")
"""What tuning reads, what the final model is fitted on, and the test part."""

LAYOUT = 2
"""Of the files; splits in another layout are drawn again."""
Arrays = dict[str, NDArray[Any]]


AfterSearch = Literal["refit", "history", "unused"]
"""What the final model is given of the validation part: it is fitted on it, is only shown it in the
histories of users, or neither."""


@dataclass(frozen=True, eq=False)
class TuningView:
    """The part of a split that tuning works on.

    Parameters
    ----------
    train, validation : Interactions
        What models are fitted on, and what they have to find.
    validation_negatives : csr_array of bool or None
        What validation items are ranked against, if not all.
    shown : Interactions or None
        What a model is shown of users beside train, such as of those who are not in it.
    known : Interactions or None
        What else is not recommended, because it is known.
    """

    train: Interactions
    validation: Interactions
    validation_negatives: csr_array | None
    shown: Interactions | None = None
    known: Interactions | None = None

    @cached_property
    def histories(self) -> Interactions:
        """What a model is shown of each user: what it was fitted on, and the shown part."""
        return self.train if self.shown is None else self.train.union(self.shown)

    @cached_property
    def seen(self) -> Interactions:
        """What is not recommended: the histories, and what else is known."""
        return self.histories if self.known is None else self.histories.union(self.known)


@dataclass(frozen=True, eq=False)
class OpenedTest:
    """The test part, after the seal was opened; its fields are as in `TuningView`.

    `user_ids` are the data set's own labels of the users, by secret number. `rankings_key` locks
    rankings that are kept of it.
    """

    test: Interactions
    negatives: csr_array | None
    shown: Interactions | None
    user_ids: Labels
    rankings_key: bytes = field(repr=False)

    def view(
        self, fitted: Interactions, known: Interactions, validation: AfterSearch
    ) -> TuningView:
        """Return the final model's task, with the test part in the place of validation.

        Parameters
        ----------
        fitted : Interactions
            What the model was fitted on.
        known : Interactions
            Train and validation.
        validation : {"refit", "history", "unused"}
            What the model is given of the validation part.
        """
        shown, more = self.shown, None
        if validation == "history":
            shown = known if shown is None else known.union(shown)
        elif validation == "unused":
            more = known
        return TuningView(fitted, self.test, self.negatives, shown, more)


class SealedTest:
    """The test part of a split, which can be opened once.

    Parameters
    ----------
    path : Path
        Where the test part is.
    unseal : callable
        Has the opening written to the ledger, then returns the key; or raises `SealError` if it
        must not happen.
    """

    def __init__(self, path: Path, unseal: Callable[[], bytes]) -> None:
        self._path = path
        self._unseal = unseal
        self._opened = False

    def open(self) -> OpenedTest:
        """Record the opening, then read the test part."""
        if self._opened:
            raise SealError("the test part of this split was already opened in this attempt.")
        key = self._unseal()
        reach("key-received")
        self._opened = True
        arrays = read_locked(self._path, key)
        numbers = SecretNumbers.derive(key, *arrays["shape"].tolist())
        return OpenedTest(
            _interactions(arrays, "test"),
            _negatives(arrays),
            _shown(arrays, "shown"),
            in_secret_order(unpacked("user_ids", arrays), numbers.users),
            rankings_key(key),
        )


@dataclass(frozen=True)
class StoredSplit:
    """A split in the workspace's cache: immutable, and found by what it was made from."""

    folder: Path

    @classmethod
    def write(
        cls,
        folder: Path,
        parts: Parts,
        keys: SplitKeys,
        *,
        validation_negatives: csr_array | None,
        test_negatives: csr_array | None,
        facts: Mapping[str, Any],
    ) -> "StoredSplit":
        """Store the parts of a split; the folder appears whole or not at all.

        The facts, such as those of `describe`, are not locked: they go to every record.
        """
        numbers = SecretNumbers.derive(keys.test, *parts.train.shape)
        files = _files(parts, validation_negatives, test_negatives, numbers)
        with new_folder(folder, is_whole=lambda place: cls(place).is_whole) as draft:
            # What is fitted is locked too: it holds what other seeds and folds have in test.
            for name, arrays in files.items():
                write_locked(draft / name, keys.test if name == SEALED else keys.tuning, arrays)
            sizes = {name: (draft / name).stat().st_size for name in FILES}
            told = {**facts, "layout": LAYOUT, "files": sizes}
            (draft / "split.json").write_text(json.dumps(told, indent=1))
            reach("split-drafted")
        return cls(folder)

    @property
    def is_whole(self) -> bool:
        """Whether the split is stored in this layout with all its files, none of them cut off."""
        try:
            told = self._told()
            sizes = told["files"]
            return told["layout"] == LAYOUT and all(
                (self.folder / n).stat().st_size == sizes[n] for n in FILES
            )
        except (OSError, ValueError, KeyError):
            return False

    @property
    def facts(self) -> dict[str, Any]:
        """Counts, dropped interactions and fingerprint of the split."""
        return {name: fact for name, fact in self._told().items() if name != "layout"}

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder / "split.json").read_text())
        return told

    def audit_again(self, audit: Mapping[str, Any]) -> None:
        """Replace the audit among the facts: another version, or another promise, judges anew."""
        with new_file(self.folder / "split.json") as draft:
            draft.write_text(json.dumps({**self._told(), "audit": audit}, indent=1))

    def tuning_view(self, key: bytes) -> TuningView:
        """Read what tuning may see, with the key for tuning."""
        arrays = read_locked(self.folder / TUNING, key)
        return TuningView(
            _interactions(arrays, "train"),
            _interactions(arrays, "validation"),
            _negatives(arrays),
            _shown(arrays, "shown"),
        )

    def known(self, key: bytes) -> Interactions:
        """Read all but the test part, with the same key."""
        return _interactions(read_locked(self.folder / KNOWN, key), "known")

    def fitted(self, key: bytes, validation: AfterSearch) -> tuple[Interactions, Interactions]:
        """Read what the final model is fitted on, and all but the test part, with the same key."""
        known = self.known(key)
        return known if validation == "refit" else self.tuning_view(key).train, known

    def sealed(self, unseal: Callable[[], bytes]) -> SealedTest:
        """Return the test part under its seal."""
        return SealedTest(self.folder / SEALED, unseal)


def describe(
    parts: Parts, validation_negatives: csr_array | None, test_negatives: csr_array | None
) -> dict[str, Any]:
    """State the size of each part, what was dropped, and a fingerprint of the whole content."""
    digest = hashlib.sha256()
    sizes: dict[str, Any] = {}
    digest.update(parts.known.fingerprint.encode())
    for name in ("train", "validation", "test"):
        part: Interactions = getattr(parts, name)
        digest.update(part.fingerprint.encode())
        sizes[name] = {
            "users": int((part.user_counts > 0).sum()),
            "items": int((part.item_counts > 0).sum()),
            "interactions": len(part),
        }
    for shown in (parts.validation_shown, parts.test_shown):
        digest.update(b"none" if shown is None else shown.fingerprint.encode())
    for negatives in (validation_negatives, test_negatives):
        digest.update(b"none" if negatives is None else _negatives_bytes(negatives))
    return {
        "users": parts.train.n_users,
        "items": parts.train.n_items,
        "parts": sizes,
        "dropped": parts.dropped,
        "sampled": test_negatives is not None,
        "fingerprint": digest.hexdigest(),
    }


def _negatives_bytes(negatives: csr_array) -> bytes:
    ordered = negatives.sorted_indices()
    return ordered.indptr.astype("int64").tobytes() + ordered.indices.astype("int64").tobytes()


def _files(
    parts: Parts,
    validation_negatives: csr_array | None,
    test_negatives: csr_array | None,
    numbers: SecretNumbers,
) -> dict[str, Arrays]:
    """Return the arrays of each file of a stored split."""

    def part(name: str, interactions: Interactions | None) -> Arrays:
        return {} if interactions is None else _arrays(name, numbers.hide(interactions))

    def negatives(matrix: csr_array | None) -> Arrays:
        return _negative_arrays(None if matrix is None else numbers.hide_matrix(matrix))

    shape = {"shape": np.array(parts.train.shape)}
    labels = packed("user_ids", parts.train.user_ids) | packed("item_ids", parts.train.item_ids)
    return {
        TUNING: {
            **shape,
            **part("train", parts.train),
            **part("validation", parts.validation),
            **part("shown", parts.validation_shown),
            **negatives(validation_negatives),
        },
        KNOWN: {**shape, **part("known", parts.known)},
        SEALED: {
            **shape,
            **labels,
            **part("test", parts.test),
            **part("shown", parts.test_shown),
            **negatives(test_negatives),
        },
    }


def stored_bytes(
    parts: Parts, validation_negatives: csr_array | None, test_negatives: csr_array | None
) -> int:
    """Return what a split will take on disk, but for labels and some headers."""
    stored = (parts.train, parts.validation, parts.validation_shown, parts.known, parts.test)
    matrices = [_negative_arrays(matrix) for matrix in (validation_negatives, test_negatives)]
    size = sum(part.n_bytes for part in (*stored, parts.test_shown) if part is not None)
    return size + sum(array.nbytes for arrays in matrices for array in arrays.values())


def _arrays(name: str, part: Interactions) -> Arrays:
    named: Arrays = {f"{name}.users": part.users, f"{name}.items": part.items}
    named[f"{name}.values"] = part.values
    if part.times is not None:
        named[f"{name}.times"] = part.times
        if part.time_unit != UNITS[0]:
            named[f"{name}.time_unit"] = np.array(UNITS.index(part.time_unit))
    return named


def _interactions(arrays: Mapping[str, NDArray[Any]], name: str) -> Interactions:
    n_users, n_items = arrays["shape"].tolist()
    return Interactions(
        arrays[f"{name}.users"],
        arrays[f"{name}.items"],
        arrays[f"{name}.values"],
        arrays.get(f"{name}.times"),
        hidden_labels(n_users),
        hidden_labels(n_items),
        time_unit=UNITS[int(arrays.get(f"{name}.time_unit", 0))],
    )


def _shown(arrays: Mapping[str, NDArray[Any]], name: str) -> Interactions | None:
    return _interactions(arrays, name) if f"{name}.users" in arrays else None


_PARTS = ("data", "indices", "indptr")


def _negative_arrays(negatives: csr_array | None) -> Arrays:
    return {
        f"negatives.{part}": getattr(negatives, part) for part in _PARTS if negatives is not None
    }


def _negatives(arrays: Mapping[str, NDArray[Any]]) -> csr_array | None:
    if "negatives.data" not in arrays:
        return None
    stored = tuple(arrays[f"negatives.{part}"] for part in _PARTS)
    return csr_array(stored, shape=tuple(arrays["shape"].tolist()))
