"""The keys of a stored split, and the files that they lock.

A split is encrypted at rest. Its keys are stored nowhere: they are derived from the whole data set,
the test part included, so that whoever holds all of it (the coordinator of a run) can compute them
at any time, and whoever holds the training part alone cannot.
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from recrepro.errors import SealError
from recrepro.interactions import Interactions

NONCE, TAG = 12, 16
"""Bytes before and after the encrypted content of a file."""


def data_secret(whole: Interactions) -> bytes:
    """Hash a whole data set to what the keys of its splits are derived from.

    It is not the fingerprint, which is public: the label in front makes it another hash, and
    neither can be computed from the other.
    """
    digest = hashlib.sha256(b"recrepro: secret of a data set, version 1\x00")
    for array in (whole.users, whole.items, whole.values, whole.times):
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


@dataclass(frozen=True)
class SplitKeys:
    """One key for what tuning and the final fit read, another one for the test part.

    Parameters
    ----------
    tuning, test : bytes
        32 each. None of the two helps to find the other.
    """

    tuning: bytes = field(repr=False)
    test: bytes = field(repr=False)

    @classmethod
    def derive(cls, secret: bytes, split: str) -> "SplitKeys":
        """Derive the keys of a split.

        Parameters
        ----------
        secret : bytes
            The `data_secret` of the data set.
        split : str
            Hash of what decides the content of the split.
        """

        def key(purpose: str) -> bytes:
            return derived(secret, f"recrepro split {split}: {purpose}".encode())

        return cls(key("tuning"), key("test"))

    @property
    def rankings(self) -> bytes:
        """Key of the rankings that are kept of a test, which tell what was held out."""
        return rankings_key(self.test)


def rankings_key(test: bytes) -> bytes:
    """Derive the key of kept rankings from that of the test part."""
    return derived(test, b"recrepro: rankings of held-out items")


def derived(secret: bytes, purpose: bytes) -> bytes:
    """Derive 32 bytes for a purpose, from which nothing leads back to the secret."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)


def lock(name: str, key: bytes, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write arrays as bytes that only the key opens, under the same name."""
    return b"".join(_locked(name, key, arrays))


def write_locked(path: Path, key: bytes, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to a file that only the key opens."""
    with path.open("wb") as file:
        for part in _locked(path.name, key, arrays):
            file.write(part)


def _locked(name: str, key: bytes, arrays: Mapping[str, NDArray[Any]]) -> Iterator[bytes]:
    """Encrypt an ``.npz`` by AES-256-GCM, for a name: one of another name does not open."""
    plain = BytesIO()
    np.savez(plain, **arrays)  # type: ignore[arg-type]  # numpy stubs: allow_pickle
    nonce = secrets.token_bytes(NONCE)
    # Not the one-call interface: it stops at 2 GiB.
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(name.encode())
    yield nonce
    yield encryptor.update(plain.getbuffer())
    yield encryptor.finalize()
    yield encryptor.tag


def read_locked(path: Path, key: bytes) -> dict[str, NDArray[Any]]:
    """Read what `write_locked` wrote.

    Raises
    ------
    SealError
        If the key is another one, or the file was altered.
    """
    try:
        return unlock(path.name, key, path.read_bytes())
    except SealError as error:
        raise SealError(
            f"{path} does not open: the key is not its own, or the file was altered. Delete the "
            f"folder {path.parent} and run the same command again: the split is drawn anew, and "
            "is the same."
        ) from error


def unlock(name: str, key: bytes, content: bytes) -> dict[str, NDArray[Any]]:
    """Read what `lock` wrote under a name.

    Raises
    ------
    SealError
        If the key or the name is another one, or the bytes were altered.
    """
    view = memoryview(content)
    nonce, tag = bytes(view[:NONCE]), bytes(view[-TAG:])
    try:
        decryptor = Cipher(algorithms.AES(key), modes.GCM(nonce, tag)).decryptor()
        decryptor.authenticate_additional_data(name.encode())
        plain = decryptor.update(view[NONCE:-TAG]) + decryptor.finalize()
    except (InvalidTag, ValueError) as error:
        raise SealError(
            f"{name} does not open: the key is not its own, or it was altered."
        ) from error
    with np.load(BytesIO(plain), allow_pickle=False) as stored:
        return dict(stored)
