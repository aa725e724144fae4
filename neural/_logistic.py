"""What models share that score each pair and learn by logistic regression with drawn negatives."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from recrepro.interactions import Interactions

from ._samples import labelled_pairs
from ._training import Batch, PairModel


class LogisticPairModel(PairModel):
    """A model of pairs whose scores are logits; its `Config` has a field ``n_negatives``.

    By default its network gives the logits of pairs, and has a method ``for_all_items``.
    """

    def batches(self, train: Interactions, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw unseen items to every interaction."""
        return labelled_pairs(train, self.config.n_negatives, self.config.batch_size, rng)

    def loss(self, users: Tensor, items: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Return the binary cross-entropy."""
        return binary_cross_entropy_with_logits(self.pair_scores(users, items).float(), labels)

    def pair_scores(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the logits of pairs."""
        logits: Tensor = self.network(users, items)
        return logits

    def for_all_items(self) -> Callable[[Tensor], Tensor]:
        """Return a function of a user's number, with the logits of every item."""
        made: Callable[[Tensor], Tensor] = self.network.for_all_items()  # type: ignore[operator]
        return made

    def score(self, users: NDArray[np.int32], histories: csr_array) -> NDArray[np.float32]:
        """Score all items, one user after the other."""
        self.fitted("network")
        return self.score_by_user(users, histories, self.for_all_items)
