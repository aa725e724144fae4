"""A sample of users to validate on, where all of them would take longer than the training."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from recrepro.randomness import generator
from recrepro.splits.sealed import TuningView

STRATA = 10
"""The sample has as many users of each tenth by activity as all users have, but for one."""


def sampled(view: TuningView, n_users: int, seed: int) -> TuningView:
    """Keep the validation part of some users, who are the same for every model of a seed.

    Users are ordered by how many items a model is shown of them, those of equal numbers at random,
    and divided into ten strata of equal size. As many are drawn from each.

    Parameters
    ----------
    view : TuningView
        The task.
    n_users : int
        How many users to keep; all, if there are no more.
    seed : int
        Of the split.
    """
    users = np.flatnonzero(view.validation.user_counts)
    if n_users >= len(users):
        return view
    rng = generator(seed, "validation users")
    shuffled = rng.permutation(users)
    by_activity = shuffled[np.argsort(view.histories.user_counts[shuffled], kind="stable")]
    ends = np.linspace(0, len(users), STRATA + 1).round().astype(int)
    wanted = np.diff(np.linspace(0, n_users, STRATA + 1).round().astype(int))
    strata = [by_activity[a:b] for a, b in pairwise(ends)]
    chosen = np.concatenate(
        [rng.permutation(one)[:n] for one, n in zip(strata, wanted, strict=True)]
    )
    kept = np.zeros(view.validation.n_users, bool)
    kept[chosen] = True
    return replace(view, validation=view.validation.select(kept[view.validation.users]))
