"""What decides a cell's numbers: its identity, and the part of it that results must share."""

from collections.abc import Iterator, Mapping
from typing import Any

from recrepro.spec.canonical import canonical_hash

PROTOCOL = ("data", "split", "metrics", "ranking", "harness")
"""What two results must share in their identities to stand in one table, but for seed and fold."""


def cell_key(identity: Mapping[str, Any]) -> str:
    """Return the key of a cell: the hash of all that decides its numbers."""
    return canonical_hash(identity)


def inline_identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity that a cell has when its model runs in the caller's process.

    Nothing made that way is for publication: the model runs beside the keys of the test part, with
    the caller's threads and hash seed. With an identity, and so a key, of its own it shares no
    trial, checkpoint or record with the cell that it stands for.
    """
    return {**identity, "executor": "inline"}


def is_inline(identity: Mapping[str, Any]) -> bool:
    """Say whether an identity is that of a cell run in the caller's process."""
    return identity.get("executor") == "inline"


def published_identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity of the cell that an inline one stands for."""
    return {part: value for part, value in identity.items() if part != "executor"}


def search_budget(identity: Mapping[str, Any]) -> tuple[int | None, float | None]:
    """Return how many trials the search of a cell has, and how many seconds; None without limit.

    A cell that is not tuned has no trials, one in which nothing is searched has one.
    """
    budget = identity.get("tuning")
    if budget is None:
        return 0, None
    return budget.get("trials") if identity["model"]["space"] else 1, budget.get("seconds")


def protocol_of(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what results must share to be compared: data, split, metrics, ranking, harness."""
    protocol = {part: identity.get(part) for part in PROTOCOL}
    split = protocol["split"]
    if isinstance(split, Mapping):
        protocol["split"] = {k: v for k, v in split.items() if k not in ("seed", "fold")}
    return protocol


def protocol_fingerprint(identity: Mapping[str, Any]) -> str:
    """Return the hash of the protocol of a cell, the same for all its seeds, folds and models."""
    return canonical_hash(protocol_of(identity))


def differences(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Name the places where two protocols or identities differ, such as ``split.options.k``."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys([*one, *other]):
            here = f"{place}.{key}" if place else str(key)
            yield from differences(one.get(key), other.get(key), here)
    elif one != other:
        yield place


HARNESS_VERSION = 3
"""Part of a cell's identity; bumped whenever the harness can give other numbers than before."""
