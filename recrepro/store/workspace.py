"""The workspace folder: where the ledger, blobs, splits, logs and the MLflow store are."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from recrepro.compute.failpoints import reach
from recrepro.durable import new_file
from recrepro.errors import NothingRun, RecreproError
from recrepro.spec.canonical import canonical_hash
from recrepro.spec.identity import SplitIdentity
from recrepro.store.address import address_of_file


@dataclass(frozen=True)
class Workspace:
    """A workspace folder and the places in it."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> "Workspace":
        """Make the folder if it is not there."""
        try:
            for folder in (root, root / "blobs", root / "splits", root / "logs"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecreproError(
                f"cannot make the workspace {root}: {error}. Choose another with --workspace DIR."
            ) from error
        return cls(root.resolve())

    @classmethod
    def existing(cls, root: Path, ledger: str | None = None) -> "Workspace":
        """Return a workspace that an earlier run has made; its ledger may be elsewhere."""
        if not (root.is_dir() if ledger else (root / "ledger.db").is_file()):
            raise NothingRun(
                f"there is no workspace in {root}: nothing was run there yet. Start with "
                "`recrepro run EXPERIMENT`, or name its folder with --workspace DIR."
            )
        return cls(root.resolve())

    @property
    def splits(self) -> Path:
        """Folder of the split cache."""
        return self.root / "splits"

    def split(self, identity: SplitIdentity) -> Path:
        """Folder of a split, by what decides its content."""
        return self.splits / identity.key[:32]

    def features(self, fingerprints: Mapping[str, str], split: SplitIdentity) -> Path:
        """Folder of feature sets with the secret numbers of a split, by content and split."""
        named = {"features": dict(fingerprints), "split": split.key}
        return self.root / "features" / canonical_hash(named)[:32]

    def log(self, cell: str) -> Path:
        """File that holds what the process of a cell printed."""
        return self.root / "logs" / f"{cell[:16]}.log"

    def checkpoints(self, cell: str) -> Path:
        """Folder that a cell's long trainings go on from; gone when the cell is done."""
        return self.root / "checkpoints" / cell[:16]

    @property
    def mlflow_store(self) -> str:
        """Address of the embedded MLflow store."""
        return address_of_file(self.root / "mlflow.db")

    @property
    def mlflow_artifacts(self) -> str:
        """Where the embedded MLflow store keeps artifacts."""
        return (self.root / "mlflow-artifacts").as_uri()

    def blob(self, digest: str) -> Path:
        """Path of a blob."""
        return self.root / "blobs" / digest[:2] / digest

    @property
    def blobs_lock_file(self) -> Path:
        """The file of `blobs_lock`."""
        return self.root / "blobs" / ".lock"

    @property
    def blobs_lock(self) -> FileLock:
        """Held while a blob is written, or is deleted."""
        return FileLock(self.blobs_lock_file)

    def read_blob(self, digest: str) -> bytes:
        """Return the bytes stored under a SHA-256, or say that they are gone or altered."""
        path = self.blob(digest)
        content = path.read_bytes() if path.is_file() else None
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            what = "is missing" if content is None else "was altered"
            raise RecreproError(
                f"the blob {path} {what}. Restore it from a copy, or test its cell again, which "
                "makes it anew and is marked in every table: recrepro run EXPERIMENT --reopen NAME."
            )
        return content

    def write_blob(self, content: bytes, announce: Callable[[str], None] = lambda _: None) -> str:
        """Store bytes under their SHA-256; they are on disk, whole, when this returns.

        Parameters
        ----------
        content : bytes
            The content.
        announce : callable
            Is told the SHA-256 before anything is written, so that the ledger can account for the
            blob if this process is killed before a record names it.
        """
        digest = hashlib.sha256(content).hexdigest()
        announce(digest)
        target = self.blob(digest)
        # Also where it is there: the process of a cell may not read blobs, `recrepro gc` leaves
        # alone what is young, and one that was damaged is made whole.
        with self.blobs_lock, new_file(target) as draft:
            draft.write_bytes(content)
            reach("blob-drafted")
        reach("blob-stored")
        return digest
