"""What the final model is given of the validation part, against fits that are made by hand."""

import numpy as np
import pytest
from support.inprocess import PlaceHere
from support.places import toy_experiment

from recrepro.baselines.ease import EASE
from recrepro.run.materials import draw
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment
from recrepro.store.ledger import Ledger

REST = """validation = "{}"
[tune]
trials = 2
[[models]]
name = "ease"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A workspace in which the same experiment was run three times, with another option each."""
    # Nothing here is about MLflow, whose import takes seconds: its server cannot be reached.
    elsewhere = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    made = PlaceHere(tmp_path_factory.mktemp("place"), environment=elsewhere)
    for option in ("refit", "history", "unused"):
        made.file.write_text(toy_experiment("after the search", REST.format(option)))
        done = made.run()
        assert done.returncode == 0, done.stderr
    return made


def cell_and_record(place, option):
    place.file.write_text(toy_experiment("after the search", REST.format(option)))
    plan = make_plan(load_experiment(place.file), place.file.parent, None)
    (cell,) = plan.cells
    ledger = Ledger.in_workspace(place.workspace)
    try:
        return plan, cell, ledger.status(cell.key).record, ledger.trials(cell.key)
    finally:
        ledger.close()


def ndcg(scores, known, test, k=10):
    """Return the mean NDCG of the held-out items, with items of train and validation removed."""
    values = []
    for user in np.flatnonzero(test.user_counts):
        row = scores[user].copy()
        row[known.matrix[[user]].indices] = -np.inf
        wanted = test.matrix[[user]].indices
        hits = np.isin(np.argsort(-row)[:k], wanted)
        gains = 1 / np.log2(np.arange(2, k + 2))
        values.append((hits * gains).sum() / gains[: len(wanted)].sum())
    return np.mean(values)


@pytest.mark.parametrize(
    ("option", "fitted", "shown"),
    [("refit", "known", "known"), ("history", "train", "known"), ("unused", "train", "train")],
)
def test_the_final_model_learns_from_and_sees_what_the_option_says(place, option, fitted, shown):
    plan, cell, record, _ = cell_and_record(place, option)
    parts = draw(plan, cell).parts
    model = EASE(l2=record.model.params["l2"]).fit(getattr(parts, fitted), None)
    users = np.arange(parts.test.n_users, dtype=np.int32)
    scores = model.score(users, getattr(parts, shown).matrix)
    assert record.metrics["ndcg@10"] == pytest.approx(ndcg(scores, parts.known, parts.test))


def test_the_options_share_a_search_and_stand_in_tables_of_their_own(place):
    found = [cell_and_record(place, option) for option in ("refit", "history", "unused")]
    assert len({cell.identity.search_key for _, cell, _, _ in found}) == 1
    assert len({str([t.to_json() for t in trials]) for *_, trials in found}) == 1
    assert len({record.protocol for _, _, record, _ in found}) == 3
    assert len({record.fit for _, _, record, _ in found}) == 3
    ledger = Ledger.in_workspace(place.workspace)
    before = [ledger.status(cell.key).before for _, cell, _, _ in found]
    ledger.close()
    assert [(one.openings, one.validation) for one in before] == [(0, False), (1, True), (2, True)]
    assert "validation" not in found[0][1].identity.ranking  # as before there was a choice
