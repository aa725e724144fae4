"""A model that writes down each fit, and falls into a trap that a test has set; a plugin."""

import os
import signal
from pathlib import Path
from traceback import walk_stack
from typing import Annotated

import numpy as np

from recrepro.model import ModelConfig, Recommender
from recrepro.run import first_look
from recrepro.space import Uniform

MODELS = {"stumbler": "stumbling:Stumbler"}


class Stumbler(Recommender):
    """Popularity, to a power that is searched for."""

    class Config(ModelConfig):
        """What is searched."""

        power: Annotated[float, Uniform(-1.0, 1.0)] = 1.0
        """Of the number of interactions."""

    def fit(self, train, rng):
        self.scores = (train.item_counts + 1.0) ** self.config.power
        if any(frame.f_globals["__name__"] == first_look.__name__ for frame, _ in walk_stack(None)):
            return self  # how often code is looked at depends on which cells run side by side
        place = Path(os.environ["STUMBLING"])
        with (place / "fits").open("a") as fits:
            fits.write(f"{self.config.power} {train.fingerprint}\n")
        if len((place / "fits").read_text().splitlines()) % 3 == 0:
            self._stumble(place)
        return self

    def _stumble(self, place):
        try:
            (place / "trap").rename(place / "draft")  # of several, one falls into it
        except FileNotFoundError:
            return
        (place / "draft").write_text(str(os.getpid()))
        (place / "draft").rename(place / "caught")
        signal.pause()

    def score(self, users, histories):
        return np.tile(self.scores.astype(np.float32), (len(users), 1))
