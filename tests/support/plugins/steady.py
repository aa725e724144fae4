"""A model for the tests of faults that needs no torch: it leaves a checkpoint after every epoch."""

from itertools import count
from typing import Annotated

import numpy as np
from annotated_types import Ge

from recrepro.model import EpochStats, IterativeRecommender, ModelConfig
from recrepro.space import Uniform

MODELS = {"steady": "steady:Steady"}


class Steady(IterativeRecommender):
    """Popularity that drifts at random; each epoch starts from the result of the one before."""

    class Config(ModelConfig):
        """What is searched."""

        epochs: Annotated[int, Ge(1)] = 4
        """Number of epochs."""
        drift: Annotated[float, Uniform(0.0, 1.0)] = 0.5
        """Size of a step."""

    def fit_epochs(self, train, rng):
        """Print each epoch that is computed: the log of the cell has those of the last attempt."""
        seed, start = int(rng.integers(2**32)), 0
        self.scores = np.log1p(train.item_counts).astype(np.float32)
        stored = self.checkpoint.read()
        if stored is not None:
            self.scores, self.resumed = stored[0]["scores"], stored[1]["caller"]
            start = stored[1]["model"]["epoch"]
            yield self._after(start)
        for epoch in count(start + 1):
            print(f"epoch {epoch} of a fit with seed {seed}")  # noqa: T201 - goes to the log
            step = np.random.default_rng([seed, epoch]).normal(size=len(self.scores))
            self.scores = self.scores + np.float32(self.config.drift) * step.astype(np.float32)
            yield self._after(epoch)

    def _after(self, epoch):
        self.epoch = epoch
        return EpochStats(epoch, {"drift": float(self.scores.sum())})

    def state(self):
        """Return what the next epoch starts from."""
        return {"scores": self.scores}, {"epoch": self.epoch}

    def keep(self, notes=None, *, now=False):
        """Leave the state, though it was left a moment ago."""
        super().keep(notes, now=True)

    def score(self, users, histories):
        """Score all users alike."""
        return np.tile(self.scores, (len(users), 1))
