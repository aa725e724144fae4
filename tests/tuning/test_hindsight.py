"""What picking the epoch on the test part would have gained: with a model whose course is known."""

from typing import Annotated

import numpy as np
import pytest
from annotated_types import Ge

from recrepro.evaluation.definitions import parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.interactions import Interactions
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig, Recommender
from recrepro.spec.experiment import ModelSpec, TuneSpec
from recrepro.splits.sealed import TuningView
from recrepro.tuning.hindsight import look_back, looks_back

RANKS = {2: 5, 4: 1, 6: 2, 8: 5}
"""Place of the test item after an epoch; the first ten places hold other items otherwise."""


class Scripted(IterativeRecommender):
    """Puts the test item (0) where the script says."""

    class Config(ModelConfig):
        """Its epochs."""

        epochs: Annotated[int, Ge(1)] = 9

    def fit_epochs(self, train, rng):
        epoch = 0
        while True:
            epoch += 1
            self.place = RANKS.get(epoch, 12)
            yield EpochStats(epoch)

    def score(self, users, histories):
        scores = -np.arange(20, dtype=np.float32)
        scores[0] = 0.5 - self.place
        return np.tile(scores, (len(users), 1))


def pairs(*items):
    of_one_user = np.array(items, np.int32)
    values = np.ones(len(items), np.float32)
    return Interactions(of_one_user * 0, of_one_user, values, None, np.arange(1), np.arange(20))


def looked_back(chosen, seconds=None):
    return look_back(
        Scripted,
        ModelSpec(name="scripted"),
        Scripted.Config(epochs=chosen),
        TuneSpec(trials=7, evaluate_every=2, patience=1, seconds=seconds, hindsight=True),
        TuningView(pairs(19), pairs(0), None),
        Evaluator([parse_metric("mrr@10")], tie_seed=1),
        "mrr@10",
        1,
    )


@pytest.mark.parametrize(
    ("chosen", "value", "gain"),
    [(8, 1 / 5, 1 - 1 / 5), (4, 1.0, 0.0), (6, 1 / 2, 1 / 2), (9, 0.0, 1.0)],
)
def test_the_gain_is_the_best_look_at_the_test_part_less_the_chosen_one(chosen, value, gain):
    found = looked_back(chosen)
    assert (found.epoch, found.best_epoch, found.best_value) == (chosen, 4, 1.0)
    assert found.value == pytest.approx(value)
    assert found.gain == pytest.approx(gain)
    assert [row["epoch"] for row in found.curve] == [2, 4, 6, 8, 9]
    assert found.epochs == 9


@pytest.mark.parametrize("chosen", [2, 4, 8])
def test_when_the_time_of_a_search_is_up_no_more_is_looked_at_than_the_chosen_epoch(chosen):
    found = looked_back(chosen, seconds=1e-9)
    assert [row["epoch"] for row in found.curve] == list(range(2, chosen + 1, 2))
    assert found.epochs == chosen
    assert found.best_epoch == min(chosen, 4)


def test_only_neural_models_are_looked_back_at_and_only_on_request():
    asked = TuneSpec(trials=1, hindsight=True)
    assert looks_back(asked, Scripted)
    baseline = type("Baseline", (Scripted,), {"__module__": "recrepro.baselines.made_up"})
    assert not looks_back(asked, baseline)
    assert not looks_back(asked, Recommender)  # it does not learn in epochs
    assert not looks_back(TuneSpec(trials=1), Scripted)
    assert not looks_back(None, Scripted)


def test_what_does_not_ask_for_it_keeps_its_hash():
    assert "hindsight" not in TuneSpec(trials=1).model_dump(mode="json")
    assert TuneSpec(trials=1, hindsight=True).model_dump(mode="json")["hindsight"] is True
