"""A split on disk: what tuning may see, and the test part under its seal.

Tuning code gets a `TuningView`, which holds no test data and no path to it. The test part is read
by `SealedTest.open` only, which first writes the opening to the ledger: one opening for each
attempt at a cell, and none once the cell has a result.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock
from scipy.sparse import csr_array, load_npz, save_npz

from recrepro.errors import SealError
from recrepro.interactions import Interactions
from recrepro.splits.base import Parts


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
        Where validation users are not in train: what a model is shown of them.
    """

    train: Interactions
    validation: Interactions
    validation_negatives: csr_array | None
    shown: Interactions | None = None

    @cached_property
    def histories(self) -> csr_array:
        """What a model is shown of each user, shape (n_users, n_items)."""
        return histories(self.train, self.shown)


@dataclass(frozen=True, eq=False)
class OpenedTest:
    """The test part, after the seal was opened; its fields are as in `TuningView`."""

    test: Interactions
    negatives: csr_array | None
    shown: Interactions | None = None


def histories(fitted: Interactions, shown: Interactions | None) -> csr_array:
    """Return what a model is shown of each user: what it was fitted on, and the shown part."""
    return (fitted if shown is None else fitted.union(shown)).matrix


class SealedTest:
    """The test part of a split, which can be opened once.

    Parameters
    ----------
    folder : Path
        Where the test part is.
    write_opening : callable
        Writes the opening to the ledger, or raises `SealError` if it must not happen.
    """

    def __init__(self, folder: Path, write_opening: Callable[[], None]) -> None:
        self._folder = folder
        self._write_opening = write_opening
        self._opened = False

    def open(self) -> OpenedTest:
        """Record the opening, then read the test part."""
        if self._opened:
            raise SealError("the test part of this split was already opened in this attempt.")
        self._write_opening()
        self._opened = True
        return OpenedTest(
            Interactions.load(self._folder / "test.npz"),
            _load_negatives(self._folder / "negatives.npz"),
            _load_shown(self._folder / "shown.npz"),
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
        *,
        validation_negatives: csr_array | None,
        test_negatives: csr_array | None,
    ) -> "StoredSplit":
        """Store the parts of a split; the folder appears whole or not at all."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = folder.with_name(f".draft-{secrets.token_hex(8)}")
        draft.mkdir()
        try:
            sealed = draft / "sealed"
            sealed.mkdir()
            parts.train.save(draft / "train.npz")
            parts.validation.save(draft / "validation.npz")
            parts.known.save(draft / "known.npz")
            parts.test.save(sealed / "test.npz")
            if parts.validation_shown is not None:
                parts.validation_shown.save(draft / "validation_shown.npz")
            if parts.test_shown is not None:
                parts.test_shown.save(sealed / "shown.npz")
            if validation_negatives is not None:
                save_npz(draft / "validation_negatives.npz", validation_negatives)
            if test_negatives is not None:
                save_npz(sealed / "negatives.npz", test_negatives)
            facts = describe(parts, validation_negatives, test_negatives)
            facts["files"] = {
                str(p.relative_to(draft)): p.stat().st_size for p in draft.rglob("*.npz")
            }
            (draft / "split.json").write_text(json.dumps(facts, indent=1))
            with FileLock(folder.parent / ".lock"):
                if not cls(folder).is_whole:  # else another process has stored the same split
                    shutil.rmtree(folder, ignore_errors=True)
                    draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return cls(folder)

    @property
    def is_whole(self) -> bool:
        """Whether the split is stored with all its files, none of them cut off."""
        try:
            sizes = self.facts["files"]
            return all((self.folder / n).stat().st_size == size for n, size in sizes.items())
        except (OSError, ValueError, KeyError):
            return False

    @property
    def facts(self) -> dict[str, Any]:
        """Counts, dropped interactions and fingerprint of the split."""
        facts: dict[str, Any] = json.loads((self.folder / "split.json").read_text())
        return facts

    def tuning_view(self) -> TuningView:
        """Read what tuning may see."""
        return TuningView(
            Interactions.load(self.folder / "train.npz"),
            Interactions.load(self.folder / "validation.npz"),
            _load_negatives(self.folder / "validation_negatives.npz"),
            _load_shown(self.folder / "validation_shown.npz"),
        )

    def known(self) -> Interactions:
        """Read what the final model is fitted on: everything but the test part."""
        return Interactions.load(self.folder / "known.npz")

    def sealed(self, write_opening: Callable[[], None]) -> SealedTest:
        """Return the test part under its seal."""
        return SealedTest(self.folder / "sealed", write_opening)


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


def _load_shown(path: Path) -> Interactions | None:
    return Interactions.load(path) if path.is_file() else None


def _load_negatives(path: Path) -> csr_array | None:
    return csr_array(load_npz(path)) if path.is_file() else None
