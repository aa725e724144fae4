"""Where held-out items came out, and the metrics computed from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recrepro.evaluation.metrics import PerUser
from recrepro.interactions import Interactions


@dataclass(frozen=True, eq=False)
class Rankings:
    """How a model ranked what was held out: all that metrics are computed from.

    Parameters
    ----------
    users : array of int, shape (n,)
        Indices of the users that have held-out items, ascending.
    held : Interactions
        The held-out items that were looked for.
    ranks : array of int32, shape (len(held),)
        The rank of each, from 1; `UNRANKED` if it cannot be recommended.
    lists : array of int32, shape (n, depth)
        The items, best first, `UNLISTED` behind the end.
    lengths : array of int32, shape (n,)
        How many items were ranked.
    n_unsampled : array of int64, shape (n,), or None
        In sampled ranking, how many items a full one would have had.
    activity : array of int64, shape (n,)
        How many items the model was shown of each user.
    n_skipped : int
        Users without held-out items, who are not evaluated.
    """

    users: NDArray[np.int64]
    held: Interactions
    ranks: NDArray[np.int32]
    lists: NDArray[np.int32]
    lengths: NDArray[np.int32]
    n_unsampled: NDArray[np.int64] | None
    activity: NDArray[np.int64]
    n_skipped: int

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all but labels and times as named arrays, to be stored."""
        named: dict[str, NDArray[Any]] = {
            "users": self.users,
            "held_users": self.held.users,
            "held_items": self.held.items,
            "held_values": self.held.values,
            "ranks": self.ranks,
            "lists": self.lists,
            "lengths": self.lengths,
            "activity": self.activity,
            "n_skipped": np.array(self.n_skipped),
        }
        return named if self.n_unsampled is None else {**named, "n_unsampled": self.n_unsampled}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], like: Interactions) -> "Rankings":
        """Read what `arrays` gave.

        Parameters
        ----------
        arrays : mapping of str to array
            The arrays.
        like : Interactions
            Interactions of the same users and items, for their labels.
        """
        held = (arrays["held_users"], arrays["held_items"], arrays["held_values"])
        return cls(
            arrays["users"],
            Interactions(*held, None, like.user_ids, like.item_ids),
            arrays["ranks"],
            arrays["lists"],
            arrays["lengths"],
            arrays.get("n_unsampled"),
            arrays["activity"],
            int(arrays["n_skipped"]),
        )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model scored.

    Parameters
    ----------
    users : array of int, shape (n,)
        Indices of the users that have held-out items, ascending.
    per_user : dict of str to array of float64, shape (n,)
        One value a user, for each metric that has one.
    overall : dict of str to float
        Values of the metrics that have one for all users together.
    n_skipped : int
        Users without held-out items, who are not evaluated.
    held : Interactions
        The held-out items that were looked for.
    ranks : array of int32, shape (len(held),)
        The rank of each, from 1; `UNRANKED` if it cannot be recommended.
    activity : array of int64, shape (n,)
        How many items the model was shown of each user.
    """

    users: NDArray[np.int64]
    per_user: dict[str, PerUser]
    overall: dict[str, float] = field(default_factory=dict)
    n_skipped: int = 0
    held: Interactions | None = None
    ranks: NDArray[np.int32] | None = None
    activity: NDArray[np.int64] | None = None

    @property
    def means(self) -> dict[str, float]:
        """The plain mean of each metric over the users, or its one value."""
        means = {name: float(values.mean()) for name, values in self.per_user.items()}
        return means | self.overall
