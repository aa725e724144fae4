"""The first look at the code of a model: what ends a cell, what becomes a note, and when."""

import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest
from support.places import toy_experiment

from recrepro.custom.load import load_model
from recrepro.errors import ModelError, UsageError
from recrepro.randomness import generator
from recrepro.run import first_look
from recrepro.run.first_look import Subject, look_at, some_users
from recrepro.store.ledger import Ledger
from recrepro.testing import interactions_from


def model_file(fit="", score="", *, head="", inductive=True):
    """Write a sound model with a line more in `fit` (12), in `score` (17), or at the top (4)."""
    return textwrap.dedent(f"""\
        import numpy as np
        from recrepro.model import Recommender

        {head}

        class Mine(Recommender):
            inductive = {inductive}

            def fit(self, train, rng):
                self.n_users = train.n_users
                self.weights = (train.matrix.T @ train.matrix).toarray()
                {fit}
                return self

            def score(self, users, histories):
                scores = np.asarray(histories @ self.weights)
                {score}
                return scores
        """)


FIT, SCORE = 12, 17
SEEN = generator(1, "first look at these").random((40, 24)) < 0.3
TRAIN = interactions_from(SEEN, timed=True)
BARRED = (
    "the scores of 40 users for items that they have not seen are -inf: these items are never "
    "recommended to them"
)
IN_ALL = "chance orders the lists of 100% of 40 users: more than half of the items share the score"
UNTRAINED = "unseen users get scores that do not depend on their history, as from untrained vectors"
LOST = "unseen users get no scores (IndexError: index 43 is out of bounds for axis 0 with size 40)"
NO_SCORE = """
from recrepro.model import Recommender
class Mine(Recommender):
    def fit(self, train, rng):
        return self
"""

NOT_LOADED = {
    "no score": (NO_SCORE, "Mine has no method score"),
    "no Recommender": ("class Mine:\n    pass\n", "Mine is no model: derive it from"),
    "no such class": ("class Mein:\n    pass\n", "unknown class or function 'Mine'"),
    "a Config of its own": (
        model_file().replace("inductive = True", "class Config:\n        pass"),
        "Config that does not derive from recrepro.model.ModelConfig",
    ),
    "fault at import": (model_file(head="undefined_name"), r"undefined_name.*mine.py:4"),
    "fault of syntax": (model_file(head="def ("), r"SyntaxError.*mine.py:4"),
}
REFUSED = {
    "NaN": (model_file(score="scores[3, 2] = np.nan"), r"scored nan for user index 3 and item"),
    "infinity": (model_file(score="scores[0] = np.inf"), r"scored inf .* \(.*mine.py:15, in score"),
    "a column short": (
        model_file(score="scores = scores[:, 1:]"),
        r"shape \(40, 23\).* \(40, 24\)",
    ),
    "transposed": (model_file(score="scores = scores.T"), "Return scores.T"),
    "a list": (model_file(score="scores = scores.tolist()"), "a list instead of a NumPy array"),
    "nothing": (model_file(score="return"), r"returned None .* return statement.*mine.py:15"),
    "a sparse matrix": (model_file(score="return histories"), r"Return scores.toarray\(\)"),
    "overwrites train.values": (
        model_file("train.values[:] = 0"),
        rf"changes its inputs: train.values, data of train.matrix \(.*mine.py:{FIT}, in fit\)",
    ),
    "sorts train.items": (
        model_file("train.items.sort()"),
        rf"train.items, indices of train.matrix \(.*mine.py:{FIT}, in fit\)",
    ),
    "overwrites the counts": (
        model_file("train.item_counts[0] += 1"),
        rf"train.item_counts \(.*mine.py:{FIT}, in fit\)",
    ),
    "overwrites the histories": (
        model_file(score="histories.data[:] = 1 / 3"),
        rf"data of train.matrix \(.*mine.py:{SCORE}, in score\)",
    ),
    "overwrites the users": (
        model_file(score="users += 1"),
        rf"the users to score \(.*mine.py:{SCORE}, in score\)",
    ),
    "its own random numbers in fit": (
        model_file("self.weights += np.random.default_rng().random(self.weights.shape)"),
        "two fits with the same seed .* from rng",
    ),
    "its own random numbers in score": (
        model_file(score="scores += np.random.default_rng().random(scores.shape)"),
        "score returns other scores when it is asked again",
    ),
    "learns from scoring": (
        model_file(score="self.weights = self.weights + 1"),
        "score returns other scores when it is asked again",
    ),
}
NOTED = {
    "half of the items never": (
        model_file(score="scores[:, ::2] = -np.inf"),
        f"{(~SEEN)[:, ::2].sum() / (~SEEN).sum():.0%} of {BARRED}",
    ),
    "equal scores": (
        model_file(score="scores = scores * 0"),
        f"{IN_ALL} of the tenth best",
    ),
    "vectors of users": (
        model_file(
            "self.users = train.matrix.toarray()",
            "scores = (self.users[users % self.n_users] @ self.weights)",
        ),
        f"{UNTRAINED}: inductive = False would say so",
    ),
    "no vector for a stranger": (
        model_file(
            "self.users = train.matrix.toarray()", "scores = self.users[users] @ self.weights"
        ),
        f"{LOST}: inductive = False would say so",
    ),
}
SOUND = {
    "plain": model_file(),
    "float64": model_file(score="scores = scores.astype(float)"),
    "what was seen": model_file(score="scores[histories.toarray() > 0] = -np.inf"),
    "popularity": model_file(score="scores = np.tile(self.weights.sum(axis=0), (len(users), 1))"),
    "seeded": model_file("self.weights += rng.random(self.weights.shape)"),
    "changes a copy": model_file("train.matrix.copy().data[:] = 0"),
    "vectors that are declared": model_file(
        "self.users = train.matrix.toarray()",
        "scores = self.users[users] @ self.weights",
        inductive=False,
    ),
    "rounding": model_file("self.weights *= 1 + 1e-7 * np.random.default_rng().random()"),
}


@pytest.fixture
def load(tmp_path):
    def load(text, name="Mine"):
        (tmp_path / "mine.py").write_text(text)
        return load_model(f"mine.py:{name}", tmp_path)

    return load


def subject(model):
    return Subject(model, model.Config(), TRAIN)


@pytest.mark.parametrize("bug", NOT_LOADED)
def test_what_is_no_model_is_refused_before_the_look(load, bug):
    text, message = NOT_LOADED[bug]
    with pytest.raises(UsageError, match=message):
        load(text)


@pytest.mark.parametrize("bug", REFUSED)
def test_a_model_that_cannot_be_right_is_refused_with_cause_and_place(load, bug):
    text, message = REFUSED[bug]
    with pytest.raises(ModelError, match=f"(?s){message}"):
        look_at(subject(load(text)))


@pytest.mark.parametrize("bug", NOTED)
def test_what_need_not_be_wrong_is_a_note(load, bug):
    text, note = NOTED[bug]
    assert look_at(subject(load(text))) == [note]


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_model_leaves_no_note(load, name):
    assert look_at(subject(load(SOUND[name]))) == []


def test_a_tensor_is_refused_with_the_call_that_makes_it_an_array(load):
    pytest.importorskip("torch", reason="tensors need torch")
    model = load(model_file(score="import torch; scores = torch.tensor(scores)"))
    with pytest.raises(ModelError, match=r"a torch.Tensor .*scores.detach\(\).cpu\(\).numpy\(\)"):
        look_at(subject(model))


def test_what_score_raises_is_not_hidden(load):
    with pytest.raises(KeyError, match="weight"):
        look_at(subject(load(model_file(score="{}['weight']"))))


def test_what_fit_raises_is_left_to_the_fit_on_all_users(load):
    assert look_at(subject(load(model_file("{}['weight']")))) is None


def noisy(share):
    """A model of which two fits differ by up to a share of the largest score."""
    noise = f"{share} * np.random.default_rng().random(self.weights.shape)"
    return model_file(f"self.weights = self.weights * (1 + {noise})")


@pytest.fixture
def cuda(monkeypatch):
    """PyTorch as if it had computed on a GPU."""
    used = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True))
    monkeypatch.setitem(sys.modules, "torch", used)


@pytest.mark.usefixtures("cuda")
def test_on_a_gpu_fits_with_equal_seeds_may_differ_by_a_thousandth(load):
    assert look_at(subject(load(noisy(5e-4)))) == []


@pytest.mark.usefixtures("cuda")
def test_on_a_gpu_fits_with_equal_seeds_may_not_differ_by_more(load):
    with pytest.raises(ModelError, match="two fits with the same seed"):
        look_at(subject(load(noisy(0.1))))


def test_elsewhere_they_may_not_differ_by_a_thousandth(load):
    with pytest.raises(ModelError, match="two fits with the same seed"):
        look_at(subject(load(noisy(5e-4))))


FUNCTION = """
def fit(train, rng):
    weights = (train.matrix.T @ train.matrix).toarray()
    return lambda users, histories: {scores}
"""


def test_a_sound_function_leaves_no_note(load):
    assert look_at(subject(load(FUNCTION.format(scores="histories @ weights"), "fit"))) == []


def test_the_scorer_of_a_function_is_named(load):
    with pytest.raises(ModelError, match=r"fit.score returned a list.* \(.*mine.py:4, in <lambda>"):
        look_at(subject(load(FUNCTION.format(scores="[]"), "fit")))


EPOCHS = """
import numpy as np
from recrepro.model import EpochStats, IterativeRecommender, ModelConfig

class Mine(IterativeRecommender):
    epochs_made = []

    class Config(ModelConfig):
        epochs: int = 100

    def fit_epochs(self, train, rng):
        self.weights = (train.matrix.T @ train.matrix).toarray()
        for epoch in range(1, 1000):
            self.epochs_made.append(epoch)
            yield EpochStats(epoch)

    def score(self, users, histories):
        return histories @ self.weights
"""


def test_an_iterative_model_trains_one_epoch_a_fit(load):
    model = load(EPOCHS)
    assert look_at(subject(model)) == []
    assert model.epochs_made == [1, 1]


def test_no_check_begins_when_the_time_is_spent(load, monkeypatch):
    monkeypatch.setattr(first_look, "SECONDS", -1.0)
    broken = subject(load(model_file("train.values[:] = 0", "scores[0] = np.nan")))
    with pytest.raises(ModelError, match="changes its inputs"):  # known without another step
        look_at(broken)


def test_scores_are_not_asked_for_when_the_time_is_spent(load, monkeypatch):
    monkeypatch.setattr(first_look, "SECONDS", -1.0)
    assert look_at(subject(load(model_file(score="scores[0] = np.nan")))) == []


def test_some_users_are_few_and_each_has_an_item():
    rows = np.random.default_rng(1).random((700, 90)) < 0.02
    train = interactions_from(rows, timed=True)
    some = some_users(train, 7)
    assert some.n_users == 200
    assert some.user_counts.min() == 1
    assert some.item_counts.min() == 1
    whole = {(train.user_ids[u], train.item_ids[i]) for u, i in zip(*np.nonzero(rows), strict=True)}
    mine = list(zip(some.user_ids[some.users], some.item_ids[some.items], strict=True))
    assert set(mine) < whole
    # all interactions of those who were drawn
    drawn = np.isin(train.user_ids, some.user_ids)
    assert len(mine) == rows[drawn].sum()
    assert (some_users(train, 8).user_ids != some.user_ids).any()


def test_a_copy_shares_no_array():
    timed = SimpleNamespace(information=lambda: ["times"])
    one = Subject(lambda _: timed, None, TRAIN)
    copy = one.copy()
    for name in ("users", "items", "values", "times", "user_ids", "item_ids"):
        assert not np.shares_memory(getattr(copy, name), getattr(one.train, name))
        np.testing.assert_array_equal(getattr(copy, name), getattr(one.train, name))
    assert copy.fingerprint == one.train.fingerprint


# Whole runs, in this process.

RUN = toy_experiment("a first look", '[[models]]\nclass = "mine.py:Mine"\n')


@pytest.fixture
def place(make_place_here):
    def place(text):
        made = make_place_here(RUN)
        (made.root / "mine.py").write_text(text)
        return made

    return place


def status(place):
    """Status of the one cell that is not done or was done last."""
    ledger = Ledger.in_workspace(place.workspace)
    (found,) = (ledger.status(cell) for cell in ledger.states())
    checked = ledger.is_checked(next(iter(ledger.work().values())).identity.model.code)
    ledger.close()
    return found, checked


def test_a_refused_model_ends_its_cell_with_the_test_part_unopened(place):
    here = place(model_file("train.values[:] = 0"))
    done = here.run()
    assert done.returncode == 3
    assert f"mine.py:{FIT}, in fit" in done.stdout + done.stderr
    cell, checked = status(here)
    assert (cell.state, cell.openings, checked) == ("failed", (), False)
    assert "changes its inputs: train.values" in cell.reason


def test_a_fault_in_score_is_found_before_the_test_part_is_opened(place):
    here = place(model_file(score="{}['weight']"))
    assert here.run().returncode == 3
    cell, _ = status(here)
    assert (cell.state, cell.openings) == ("failed", ())
    assert cell.reason == f"KeyError: 'weight' ({here.root / 'mine.py'}:{SCORE}, in score)"


def test_notes_are_in_the_record_and_in_the_table(place):
    here = place(model_file(score="scores[:, ::2] = -np.inf"))
    assert here.run().returncode == 0
    cell, checked = status(here)
    (note,) = cell.record.model.notes
    assert "the scores of 60 users" in note
    assert not checked  # so that the next cell has the note too
    (row,) = here.board()["leaderboards"][0]["rows"]
    assert note in row["notes"]


def test_code_that_has_passed_is_not_looked_at_again(place, monkeypatch):
    here = place(model_file())
    assert here.run().returncode == 0
    cell, checked = status(here)
    assert checked
    assert "notes" not in cell.record.to_json()["model"]
    monkeypatch.setattr(first_look, "look_at", lambda _: pytest.fail("it has passed before"))
    here.file.write_text(RUN.replace("seed = 3", "seed = 4"))
    assert here.run().returncode == 0


def test_recrepros_own_models_are_not_looked_at(make_place_here, monkeypatch):
    monkeypatch.setattr(first_look, "look_at", lambda _: pytest.fail("it is tested elsewhere"))
    here = make_place_here(RUN.replace('class = "mine.py:Mine"', 'name = "toppopular"'))
    assert here.run().returncode == 0
