"""A recommender to start from: items that occur together with those of a user's history."""

from typing import Annotated

import numpy as np
from annotated_types import Ge
from pydantic import FiniteFloat

from recrepro.space import Uniform

Damping = Annotated[FiniteFloat, Ge(0), Uniform(0.0, 1.0)]  # bounds, and the range to search


def fit(train, rng, *, damping: Damping = 0.5):
    """Count how often items occur together, and damp popular items."""
    together = (train.matrix.T @ train.matrix).toarray()  # train.matrix: users x items, sparse
    weights = together / np.maximum(train.item_counts, 1.0) ** damping
    np.fill_diagonal(weights, 0.0)

    def score(users, histories):
        """Return a row for each of the users and a column for each item: higher is better."""
        return (histories @ weights).astype(np.float32)

    return score


fit.inductive = True  # a history is enough: it can score users that are not in train
fit.deterministic = (
    True  # rng is not used: one fit is enough; delete this line if you draw anything
)

# With PyTorch: call torch.manual_seed(int(rng.integers(2**31))) first, train as you are used to, on
# train.users and train.items, and let score return scores.detach().cpu().numpy(). Hyperparameters
# such as learning_rate, epochs and device follow the * of fit. More: docs/your-own-model.md
