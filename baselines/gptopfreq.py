"""A user's own items, then the most popular ones."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from scipy.sparse import csr_array, eye_array

from recrepro.interactions import Interactions

from ._fading import FadingConfig, FadingModel


class GPTopFreq(FadingModel):
    """Recommend again what the user has interacted with, then what is popular.

    Li, Jullien, Ariannezhad, de Rijke: A next basket recommendation reality check. ACM TOIS 2023.

    Notes
    -----
    An item of the history scores its value, an item that is not there less than 0, by its
    popularity. Values are the frequencies of the paper where the data set adds up repeated pairs
    (``duplicates = "sum"`` and ``values = "keep"``). With `fading`, late items come before early
    ones. The model is made for repeat consumption: where seen items are removed from the lists
    (which is the default, see ``seen`` under ``[evaluate]``), it is `TopPopular`.
    """

    version = 2

    class Config(FadingConfig):
        """Hyperparameters: how a history fades."""

        @model_validator(mode="after")
        def _no_half_life(self) -> Self:
            if self.half_life is not None:
                raise ValueError("half_life has no effect here: popularity is that of all times")
            return self

    def learn_weights(self, train: Interactions) -> csr_array:
        """Return weights of 1 from each item to itself, and keep the popularity."""
        counts = train.item_counts
        self.popularity = (counts / (counts.max(initial=0) + 1)).astype(np.float32)
        weights: csr_array = eye_array(train.n_items, dtype=np.float32, format="csr")
        return weights

    def score(self, users: NDArray[np.int32], histories: csr_array) -> NDArray[np.float32]:
        """Put the faded history above the popularity."""
        own = super().score(users, histories)
        seen = histories.astype(bool).toarray()
        # Nothing is added to a faded value: 1 and a billionth are 1 in float32.
        return np.where(seen, own, self.popularity - 1).astype(np.float32)
