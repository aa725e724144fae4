"""Values of groups: users by their activity, held-out items by their popularity.

A mean over all users hides for whom a model works, and which items it finds.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recrepro.evaluation.items import head_items
from recrepro.evaluation.kernels import UNRANKED
from recrepro.evaluation.rankings import Evaluation

N_GROUPS = 4


def activity_groups(activity: NDArray[np.int64], n_groups: int = N_GROUPS) -> NDArray[np.int64]:
    """Divide users into groups of about equal size by how much is known of them.

    Parameters
    ----------
    activity : array of int, shape (n_users,)
        Interactions in the history of each user.
    n_groups : int
        At most so many: users of equal activity are never divided.

    Returns
    -------
    array of int, shape (n_users,)
        Number of the group, from 0 for the least active.
    """
    edges = np.quantile(activity, np.arange(1, n_groups) / n_groups, method="lower")
    groups = np.searchsorted(np.unique(edges), activity, side="left")
    numbers: NDArray[np.int64] = np.unique(groups, return_inverse=True)[1]
    return numbers


def by_activity(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the means of every metric for each group of users.

    Parameters
    ----------
    evaluation : Evaluation
        Values of users, and how much the model was shown of them.

    Returns
    -------
    list of dict
        One a group, least active first: the smallest and the largest `activity`, the number of
        `users`, and the `means` by metric.
    """
    assert evaluation.activity is not None
    mine = evaluation.activity
    groups = activity_groups(mine)
    return [
        {
            "activity": [int(mine[members].min()), int(mine[members].max())],
            "users": int(members.sum()),
            "means": {n: float(v[members].mean()) for n, v in evaluation.per_user.items()},
        }
        for members in (groups == group for group in range(groups.max() + 1))
    ]


def by_popularity(
    evaluation: Evaluation, popularity: NDArray[np.int64], cutoffs: list[int]
) -> list[dict[str, Any]]:
    """Return how many held-out items of each group are found: hits over all users / held-out.

    Parameters
    ----------
    evaluation : Evaluation
        Ranks of held-out items.
    popularity : array of int, shape (n_items,)
        Train interactions of each item.
    cutoffs : list of int
        Where lists end.

    Returns
    -------
    list of dict
        For the groups "head" (fewer than 20 % of all items have more train interactions), "tail"
        (the others) and "cold" (none at all), as far as they have held-out items: `group`, number
        of `items`, number of `held_out` interactions, and the share that is found, `recall`, by
        cutoff.
    """
    assert evaluation.held is not None
    assert evaluation.ranks is not None
    head, cold = head_items(popularity), popularity == 0
    found = []
    for name, members in (("head", head & ~cold), ("tail", ~head & ~cold), ("cold", cold)):
        ranks = evaluation.ranks[members[evaluation.held.items]]
        if len(ranks):
            hits = {k: float(((ranks != UNRANKED) & (ranks <= k)).mean()) for k in cutoffs}
            found.append(
                {
                    "group": name,
                    "items": int(members.sum()),
                    "held_out": len(ranks),
                    "recall": {f"@{k}": share for k, share in hits.items()},
                }
            )
    return found
