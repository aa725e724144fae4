"""Item weights that are learned more from what is recent, and histories that fade."""

from dataclasses import replace
from typing import Annotated, Any, Self

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray
from pydantic import FiniteFloat, SerializerFunctionWrapHandler, model_serializer
from scipy.sparse import csr_array

from recrepro.errors import ModelError
from recrepro.interactions import UNKNOWN_TIME, Interactions, Sequences
from recrepro.model import Information, ModelConfig

from ._similarity import ItemSimilarityModel


class FadingConfig(ModelConfig):
    """Two options that are off by default, and have no range: an experiment gives them one."""

    fading: Annotated[FiniteFloat, Ge(0), Le(1)] = 1.0
    """Weight of an item of the history as a share of that of the next later one; 1 for none."""
    half_life: Annotated[FiniteFloat, Gt(0)] | None = None
    """Days after which a training interaction counts half, back from the latest; None for never."""

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out options that are off: cells without them keep their identities."""
        off = {"fading": 1.0, "half_life": None}
        return {k: v for k, v in write(self).items() if k not in off or v != off[k]}


class FadingModel(ItemSimilarityModel):
    """An item similarity model that can forget.

    With `fading` it needs the order of a user's interactions, with `half_life` the times. Without
    either it learns and scores as if it had no such options.
    """

    Config = FadingConfig

    def information(self) -> tuple[Information, ...]:
        """Return what the model learns from, which depends on the two options."""
        found: tuple[Information, ...] = super().information()
        if self.config.half_life is not None:
            return ("times", *found)
        return ("order", *found) if self.config.fading < 1 else found

    def fit(self, train: Interactions, rng: np.random.Generator) -> Self:
        """Weigh the interactions by their age, and learn the item weights."""
        super().fit(self._aged(train), rng)
        self.set_histories(train)
        return self

    def set_histories(self, histories: Interactions) -> None:
        """Find how far each user's items have faded."""
        if self.config.fading == 1:
            return
        sequences = Sequences(histories)
        users = np.repeat(np.arange(histories.n_users), sequences.lengths)
        later = sequences.starts[users + 1] - 1 - np.arange(len(users))
        shares = (self.config.fading**later).astype(np.float32)
        self.faded = csr_array((shares, (users, sequences.items)), shape=histories.shape)

    def score(self, users: NDArray[np.int32], histories: csr_array) -> NDArray[np.float32]:
        """Let the histories fade, then multiply them with the item weights."""
        return super().score(users, self.fade(users, histories))

    def fade(self, users: NDArray[np.int32], histories: csr_array) -> csr_array:
        """Return histories with faded values; items whose place nobody knows count 0."""
        self.fitted("item_weights")
        if self.config.fading == 1:
            return histories
        faded: csr_array = histories.multiply(self.faded[users]).tocsr()
        return faded

    def _aged(self, train: Interactions) -> Interactions:
        if self.config.half_life is None:
            return train
        if train.times is None:
            raise ModelError(
                f"{type(self).__name__} with half_life needs the times of the interactions, and "
                "these have none. Take half_life away."
            )
        known = train.times != UNKNOWN_TIME
        weights = np.zeros(len(train))  # of those without a time
        if known.any():
            times = train.times[known]
            weights[known] = np.exp2((times - times.max()) / (train.day * self.config.half_life))
        return replace(train, values=(train.values * weights).astype(np.float32))
