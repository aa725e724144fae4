"""Association rules, Markov chains and sequential rules against counts made in other ways."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.logs import in_time

from recrepro.baselines.associationrules import AssociationRules
from recrepro.baselines.markovchain import MarkovChain
from recrepro.baselines.sequentialrules import SequentialRules
from recrepro.errors import ModelError


def in_order(sequences, n_items):
    """Interactions of users whose items are given from the first to the latest."""
    rows = [(u, i, t) for u, items in enumerate(sequences) for t, i in enumerate(items)]
    return in_time(rows, n_items, len(sequences))


def fitted(model, sequences, n_items):
    return model.fit(in_order(sequences, n_items), np.random.default_rng(0))


def scores(model, sequences, n_items):
    train = in_order(sequences, n_items)
    made = model.fit(train, np.random.default_rng(0))
    return made.score(np.arange(len(sequences), dtype=np.int32), train.matrix)


N_ITEMS = 7
histories = st.lists(
    st.permutations(range(N_ITEMS)).flatmap(
        lambda items: st.integers(1, N_ITEMS).map(lambda n: items[:n])
    ),
    min_size=1,
    max_size=8,
)

WEIGHTS = {
    "same": lambda _d, _w: 1.0,
    "linear": lambda d, window: 1 - (d - 1) / window,
    "reciprocal": lambda d, _: 1 / d,
    "logarithmic": lambda d, _: 1 / np.log10(d + 1.7),
    "quadratic": lambda d, _: 1 / d**2,
}


def test_worked_sequential_rules():
    # 0 before 1 twice: at distances 1 and 2. 2 after 0 at distance 1; 1 after 2 at distance 1.
    sequences = [[0, 1], [0, 2, 1]]
    model = fitted(SequentialRules(), sequences, 3)
    np.testing.assert_allclose(model.rules.toarray(), [[0, 1.5, 1], [0, 0, 0], [0, 1, 0]])
    halved = fitted(SequentialRules(source_exponent=1.0), sequences, 3)
    np.testing.assert_allclose(halved.rules.toarray(), [[0, 0.75, 0.5], [0, 0, 0], [0, 1, 0]])
    # The latest item counts 1, the one before it a half: 1 leads nowhere, 2 leads to 1.
    faded = scores(SequentialRules(n_latest=2, fading=0.5), sequences, 3)
    np.testing.assert_allclose(faded, [[0, 0.75, 0.5], [0, 0.5, 0]])


@given(
    histories,
    st.integers(1, 9),
    st.sampled_from(sorted(WEIGHTS)),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_sequential_rules_are_those_of_loops_over_pairs(
    sequences, window, weighting, source, target, n_latest, fading
):
    popularity = np.bincount(np.concatenate(sequences), minlength=N_ITEMS).clip(1)
    rules = np.zeros((N_ITEMS, N_ITEMS))
    for items in sequences:
        for x, later in enumerate(items):
            for y in range(max(0, x - window), x):
                rules[items[y], later] += WEIGHTS[weighting](x - y, window)
    rules /= popularity[:, None] ** source * popularity**target
    expected = [
        sum(fading**k * rules[item] for k, item in enumerate(items[::-1][:n_latest]))
        for items in sequences
    ]
    model = SequentialRules(
        window=window,
        weighting=weighting,
        source_exponent=source,
        target_exponent=target,
        n_latest=n_latest,
        fading=fading,
    )
    np.testing.assert_allclose(scores(model, sequences, N_ITEMS), expected, rtol=1e-5, atol=1e-7)


@given(histories)
def test_a_markov_chain_has_the_counts_of_pandas(sequences):
    log = pd.DataFrame([(u, i) for u, items in enumerate(sequences) for i in items])
    log["next"] = log.groupby(0)[1].shift(-1)
    pairs = log.dropna().groupby([1, "next"]).size()
    n_users = log.groupby(1).size()
    model = fitted(MarkovChain(), sequences, N_ITEMS)
    rules = model.rules.toarray()
    assert model.rules.nnz == len(pairs)
    for (i, j), n in pairs.items():
        assert rules[i, int(j)] == pytest.approx(n / n_users[i])
    np.testing.assert_allclose(
        scores(MarkovChain(), sequences, N_ITEMS), [rules[items[-1]] for items in sequences]
    )


@given(histories)
def test_association_rules_have_the_counts_of_pandas(sequences):
    log = pd.DataFrame(
        [(u, i) for u, items in enumerate(sequences) for i in items], columns=["user", "item"]
    )
    both = log.merge(log, on="user").query("item_x != item_y").groupby(["item_x", "item_y"]).size()
    n_users = log.groupby("item").size()
    model = fitted(AssociationRules(), sequences, N_ITEMS)
    rules = model.rules.toarray()
    assert model.rules.nnz == len(both)
    for (i, j), n in both.items():
        assert rules[i, j] == pytest.approx(n / n_users[i])
    np.testing.assert_allclose(
        scores(AssociationRules(), sequences, N_ITEMS), [rules[items[-1]] for items in sequences]
    )


def test_the_largest_rules_are_kept_and_of_equal_ones_those_to_lower_items():
    sequences = [[0, 1], [0, 2], [0, 3], [4, 0, 3]]
    model = fitted(SequentialRules(n_neighbors=2), sequences, 5)
    np.testing.assert_allclose(model.rules.toarray()[0], [0, 1, 0, 2, 0])


def test_users_without_items_score_nothing_and_times_are_needed():
    made = scores(SequentialRules(), [[0, 1], []], 2)
    np.testing.assert_array_equal(made[1], [0, 0])
    timeless = replace(in_order([[0, 1]], 2), times=None)
    with pytest.raises(ModelError, match="need the times"):
        MarkovChain().fit(timeless, np.random.default_rng(0))


def test_the_number_of_threads_changes_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    sequences = [rng.permutation(60)[: rng.integers(1, 40)].tolist() for _ in range(50)]
    found = []
    for threads in (1, 3):
        monkeypatch.setattr("recrepro.compute.threads.default_threads", lambda n=threads: n)
        found.append(fitted(SequentialRules(n_neighbors=5), sequences, 60).rules)
    assert (found[0] != found[1]).nnz == 0
