"""Models for the tests of memory: they ask for more than there is, or are killed for it."""

import os
import signal

import numpy as np

from recrepro.model import ModelConfig, Recommender

MODELS = {"greedy": "greedy:Greedy", "doomed": "greedy:Doomed"}


class Greedy(Recommender):
    """Wants an array of a pebibyte, unless it is told that there is memory."""

    class Config(ModelConfig):
        """None."""

    def fit(self, train, rng):
        """Count items, in far too large an array."""
        if "ENOUGH_MEMORY" not in os.environ:
            self.run_out()
        self.counts = train.item_counts.astype(np.float32)
        return self

    def run_out(self):
        """Ask for it."""
        np.empty(2**50, np.int8)

    def score(self, users, histories):
        """Score all alike."""
        return np.tile(self.counts, (len(users), 1))


class Doomed(Greedy):
    """Is killed, as the system does it, but in its final fit only."""

    fits = 0

    def run_out(self):
        """Count the fits: two of the first look, one of the trial, and the final one."""
        type(self).fits += 1
        if self.fits == 4:
            os.kill(os.getpid(), signal.SIGKILL)
