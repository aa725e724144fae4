"""The evaluator: masks, candidates, ties, refusals; never a model's business."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recrepro.baselines._similarity import ItemSimilarityModel
from recrepro.errors import DataError, ModelError
from recrepro.evaluation.definitions import DEFINITIONS, parse_metric
from recrepro.evaluation.evaluator import Evaluator
from recrepro.interactions import Interactions
from recrepro.model import ModelConfig

EVERY = [
    parse_metric(f"{d.id}@{k}" if d.cut else d.id)
    for d in DEFINITIONS.values()
    if d.kind != "corrected" and not d.needs_features
    for k in ((1, 3, 50) if d.cut else (None,))
]
ACCURACY = [metric for metric in EVERY if metric.definition.kind == "accuracy"]


def measure(model, history, holdout, negatives=None, *, metrics=EVERY, seed=0, **options):
    """Evaluate a model that was fitted on the history, an array or a sparse one."""
    history = csr_array(history, dtype=np.float32)
    users = np.repeat(np.arange(history.shape[0], dtype=np.int32), np.diff(history.indptr))
    labels = holdout.user_ids, holdout.item_ids
    train = Interactions(users, history.indices.astype(np.int32), history.data, None, *labels)
    evaluator = Evaluator(metrics, tie_seed=seed, **options)
    return evaluator.evaluate(model, train, train, holdout, negatives)


def same(one, other):
    """Whether two evaluations agree to the last bit."""
    bits = [{n: v.tobytes() for n, v in e.per_user.items()} for e in (one, other)]
    return bits[0] == bits[1] and one.overall == other.overall


def problem(seed, n_users=7, n_items=60, *, tied=False):
    """Draw scores, a history and a holdout disjoint from it; user 2 has no holdout."""
    rng = np.random.default_rng(seed)
    kind = rng.random((n_users, n_items))
    history, holdout = kind < 0.2, kind > 0.8
    holdout[:, 0], history[:, 0], holdout[2] = True, False, False
    if tied:
        scores = rng.integers(0, 4, (n_users, n_items)).astype(np.float32)
    else:
        scores = rng.permuted(np.tile(np.arange(n_items), (n_users, 1)), axis=1)
    return scores.astype(np.float32), history.astype(np.float32), holdout


def ranks_of(found, k):
    """Recover the rank of the only relevant item from reciprocal ranks; 0 if not listed."""
    values = found.per_user[f"mrr@{k}"]
    return [round(1 / v) if v else 0 for v in values]


@given(st.integers(0, 50), st.integers(1, 8), st.booleans(), st.booleans())
def test_block_size_and_threads_change_no_bit(
    interactions, fixed, seed, block_users, tied, sampled
):
    scores, history, held = problem(seed, tied=tied)
    negatives = csr_array(~held & (history == 0)) if sampled else None
    args = (history, interactions(held), negatives)
    whole = measure(fixed(scores), *args, threads=1)
    blocks = measure(fixed(scores), *args, block_cells=block_users * held.shape[1], threads=3)
    assert blocks.users.tolist() == whole.users.tolist()
    assert same(blocks, whole)


@given(st.integers(0, 50))
def test_relabelling_items_changes_nothing_where_no_scores_are_equal(interactions, fixed, seed):
    scores, history, held = problem(seed)
    new = np.random.default_rng(seed + 1).permutation(held.shape[1])
    before = measure(fixed(scores), history, interactions(held))
    after = measure(fixed(scores[:, new]), history[:, new], interactions(held[:, new]))
    for name, values in before.per_user.items():
        np.testing.assert_allclose(after.per_user[name], values, rtol=1e-12, err_msg=name)
    assert after.overall == pytest.approx(before.overall)


def test_users_without_holdout_are_skipped_and_counted(interactions, fixed):
    scores, history, held = problem(1)
    model = fixed(scores)
    found = measure(model, history, interactions(held))
    assert found.users.tolist() == [0, 1, 3, 4, 5, 6]
    assert [u for users, _ in model.shown for u in users] == [0, 1, 3, 4, 5, 6]
    assert all(len(values) == 6 for values in found.per_user.values())
    assert found.n_skipped == (history[2].sum() > 0) == 1


def test_means_are_plain_means_over_the_evaluated_users(interactions, fixed):
    found = measure(fixed([[2, 1], [1, 2], [2, 1]]), np.zeros((3, 2)), interactions([[1, 0]] * 3))
    assert found.means["mrr@3"] == pytest.approx((1 + 1 / 2 + 1) / 3)


@pytest.mark.parametrize("block_cells", [1, 120, 10_000])
def test_a_model_is_shown_the_histories_of_the_users_it_is_asked_for(
    interactions, fixed, block_cells
):
    scores, history, held = problem(4)
    model = fixed(scores)
    measure(model, history, interactions(held), block_cells=block_cells)
    for users, shown in model.shown:
        np.testing.assert_array_equal(shown, history[users])


@pytest.mark.parametrize("stored", [1.0, 0.0])
def test_a_seen_item_is_never_listed_even_if_its_stored_value_is_zero(interactions, fixed, stored):
    history = csr_array((np.float32([stored]), [0], [0, 1]), shape=(1, 3))
    found = measure(fixed([[9, 2, 1]]), history, interactions([[0, 1, 0]]))
    assert ranks_of(found, 3) == [1]


def test_a_relevant_item_that_was_seen_cannot_be_found(interactions, fixed):
    found = measure(fixed([[9, 2, 1]]), [[1, 0, 0]], interactions([[1, 0, 1]]))
    assert found.per_user["recall@3"].tolist() == [0.5]


def test_a_held_out_item_of_value_zero_counts(interactions, fixed):
    held = interactions([[0, 5]])
    held.values[:] = 0
    assert measure(fixed([[1, 2]]), np.zeros((1, 2)), held).means["recall@1"] == 1.0


def test_minus_infinity_is_never_recommended(interactions, fixed):
    found = measure(fixed([[-np.inf, -9, -np.inf]]), np.zeros((1, 3)), interactions([[1, 1, 1]]))
    assert found.means["hit_rate[recsys2019]@3"] == 1
    assert found.means["precision[recsys2019]@3"] == 1


@pytest.mark.parametrize("relevant", [range(10), range(90, 100), range(0, 100, 10)])
def test_a_constant_scorer_is_at_chance_wherever_the_relevant_items_are(
    interactions, fixed, relevant
):
    held = np.zeros((1, 100))
    held[0, list(relevant)] = 1
    recall = [
        measure(fixed(np.ones((1, 100))), np.zeros((1, 100)), interactions(held), seed=s).means[
            "recall@50"
        ]
        for s in range(300)
    ]
    # 10 of 100 drawn without return: the deviation of one recall@50 is 0.151, of the mean 0.009.
    assert np.mean(recall) == pytest.approx(0.5, abs=0.04)


def test_the_tie_order_depends_on_user_and_seed_and_on_nothing_of_the_model(interactions, fixed):
    held = interactions(np.ones((2, 30)))
    orders = [
        measure(fixed(np.full((2, 30), level)), np.zeros((2, 30)), held, seed=s).ranks.tolist()
        for level, s in ((0, 1), (7, 1), (0, 2))
    ]
    first, second = orders[0][:30], orders[0][30:]
    assert sorted(first) == sorted(second) == list(range(1, 31))
    assert first != second
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinite_scores_are_refused_with_model_user_and_item(interactions, fixed, bad):
    with pytest.raises(ModelError, match=r"Fixed scored .* user index 1 and item index 2 \(1 such"):
        measure(
            fixed([[1, 2, 3], [1, 2, bad]]), np.zeros((2, 3)), interactions([[1, 0, 0], [1, 0, 0]])
        )


def test_a_seen_item_may_not_be_nan_either(interactions, fixed):
    with pytest.raises(ModelError, match="Fixed"):
        measure(fixed([[np.nan, 1]]), [[1, 0]], interactions([[0, 1]]))


@pytest.mark.parametrize("table", [[[1, 2]], [[1, 2, 3, 4]], [1]])
def test_a_wrong_shape_is_refused_with_both_shapes(interactions, fixed, table):
    with pytest.raises(ModelError, match=r"Fixed.score returned .* must be .* shape \(1, 3\)"):
        measure(fixed(table), np.zeros((1, 3)), interactions([[1, 0, 0]]))


def tensor():
    """Something whose class calls itself `torch.Tensor`."""
    return type("Tensor", (), {"__module__": "torch", "shape": (1, 3)})()


@pytest.mark.parametrize(
    ("answer", "what", "remedy"),
    [
        (tensor(), "a torch.Tensor instead of", "Return scores.detach().cpu().numpy()."),
        (csr_array(np.ones((1, 3))), "a scipy.csr_array instead of", "Return scores.toarray()."),
        ([[1.0, 2.0, 3.0]], "a list instead of", "Return np.asarray(scores, np.float32)."),
        (None, "None instead of", "Is there a return statement?"),
        (np.ones((3, 1)), "an array of shape (3, 1)", "Return scores.T."),
        (np.array([["a", "b", "c"]]), "an array of <U1", "Return numbers"),
    ],
)
def test_an_answer_in_another_form_is_refused_with_the_remedy(
    interactions, fixed, answer, what, remedy
):
    class Odd(fixed):
        def score(self, users, histories):
            return answer

    with pytest.raises(ModelError) as refused:
        measure(Odd([[1, 2, 3]]), np.zeros((1, 3)), interactions([[1, 0, 0]]))
    assert f"Odd.score returned {what}" in str(refused.value)
    assert remedy in str(refused.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_array_that_a_model_returns_is_not_changed(interactions, fixed, dtype):
    class Shared(fixed):
        def score(self, users, histories):
            return self.table

    table = np.array([[3, 2, 1]], dtype)
    measure(Shared(table), [[1, 0, 0]], interactions([[0, 1, 0]]))
    assert table.tolist() == [[3, 2, 1]]


def test_nobody_to_evaluate_is_an_error(interactions, fixed):
    with pytest.raises(DataError, match="nothing to evaluate"):
        measure(fixed(np.ones((2, 3))), np.zeros((2, 3)), interactions(np.zeros((2, 3))))


@given(st.integers(0, 200))
def test_sampled_ranking_equals_sorting_the_unseen_candidates(interactions, fixed, seed):
    scores, history, held = problem(seed)
    negatives = np.random.default_rng(seed).random(held.shape) < 0.3
    negatives[:, 1] = True
    found = measure(fixed(scores), history, interactions(held), csr_array(negatives))
    for place, user in enumerate(found.users):
        candidates = np.flatnonzero((held[user] | negatives[user]) & (history[user] == 0))
        listed = candidates[np.argsort(-scores[user, candidates])]
        for k in (1, 3, 50):
            recall = held[user, listed[:k]].sum() / held[user].sum()
            assert found.per_user[f"recall@{k}"][place] == recall


def test_full_ranking_is_sampled_ranking_against_everything(interactions, fixed):
    scores, history, held = problem(3, tied=True)
    everything = csr_array(np.ones(held.shape, bool))
    full = measure(fixed(scores), history, interactions(held))
    assert same(measure(fixed(scores), history, interactions(held), everything), full)


def test_in_sampled_ranking_a_model_is_asked_for_its_candidates_only(interactions, fixed):
    class Choosy(fixed):
        def score(self, users, histories):
            raise AssertionError("nobody asked for all items")

        def score_candidates(self, users, histories, candidates):
            assert candidates.toarray().tolist() == [[False, True, True, False]]
            return np.where(candidates.toarray(), self.table[users], -np.inf)

    negatives = csr_array(np.array([[False, True, False, False]]))
    table = np.array([[9, 8, 7, 6]], np.float32)
    found = measure(Choosy(table), [[0, 0, 0, 0]], interactions([[0, 0, 1, 0]]), negatives)
    assert found.ranks.tolist() == [2]


def test_seen_negatives_are_removed(interactions, fixed):
    negatives = csr_array(np.array([[True, True, False, False]]))
    found = measure(fixed([[9, 8, 7, 6]]), [[1, 0, 0, 0]], interactions([[0, 0, 1, 0]]), negatives)
    assert ranks_of(found, 3) == [2]


def test_users_without_negatives_are_an_error_that_names_one(interactions, fixed):
    negatives = csr_array(np.array([[True, False], [False, False]]))
    with pytest.raises(DataError, match=r"1 users .* no sampled negatives .*first: user index 1\)"):
        measure(fixed(np.ones((2, 2))), np.zeros((2, 2)), interactions([[0, 1], [0, 1]]), negatives)


@given(st.integers(0, 50))
def test_dense_and_sparse_weights_are_measured_alike(interactions, seed):
    class Weights(ItemSimilarityModel):
        def learn_weights(self, train):
            raise AssertionError

    rng = np.random.default_rng(seed)
    _, history, held = problem(seed)
    # Whole numbers: sums are exact in any order.
    weights = (rng.integers(0, 9, (60, 60)) * (rng.random((60, 60)) < 0.1)).astype(np.float32)
    found = []
    for form in (np.asarray, csr_array):
        model = Weights(ModelConfig())
        model.item_weights = form(weights)
        found.append(measure(model, history, interactions(held)))
    assert same(*found)


@given(st.integers(0, 50), st.integers(1, 60))
def test_a_model_that_knows_the_answer_scores_one(interactions, fixed, seed, k):
    _, history, held = problem(seed)
    names = ("ndcg", "ndcg[lenskit]", "recall[capped]", "hit_rate", "map", "mrr")
    perfect = [parse_metric(f"{name}@{k}") for name in names]
    perfect += [parse_metric(name) for name in ("auc", "r_precision", "map[cornac]")]
    found = measure(fixed(held.astype(float)), history, interactions(held), metrics=perfect)
    assert set(found.means.values()) == {1.0}


# What may be recommended.


@given(st.integers(0, 100), st.booleans())
def test_barred_items_are_like_items_that_the_model_never_recommends(
    interactions, fixed, seed, tied
):
    scores, history, held = problem(seed, tied=tied)
    allowed = np.random.default_rng(seed).random(held.shape[1]) < 0.7
    barred = np.where(allowed, scores, -np.inf)
    labels = np.flatnonzero(allowed).astype(str)
    by_option = measure(
        fixed(scores), history, interactions(held), items=labels.tolist(), metrics=ACCURACY
    )
    by_model = measure(fixed(barred), history, interactions(held), metrics=ACCURACY)
    assert same(by_option, by_model)


@given(st.integers(0, 100))
def test_ignored_items_are_like_items_that_are_not_held_out(interactions, fixed, seed):
    scores, history, held = problem(seed)
    allowed = np.random.default_rng(seed).random(held.shape[1]) < 0.7
    allowed[0] = True
    options = {"items": np.flatnonzero(allowed).astype(str).tolist(), "metrics": ACCURACY}
    ignored = measure(fixed(scores), history, interactions(held), outside="ignored", **options)
    absent = measure(fixed(scores), history, interactions(held & allowed), **options)
    assert ignored.users.tolist() == absent.users.tolist()
    assert same(ignored, absent)


def test_items_without_a_train_interaction_can_be_left_out(interactions, fixed):
    held, history = interactions([[0, 0, 1], [1, 0, 0]]), [[1, 0, 0], [0, 1, 0]]
    free = measure(fixed([[0, 1, 2], [0, 1, 2]]), history, held)
    assert ranks_of(free, 3) == [1, 2]
    train = measure(fixed([[0, 1, 2], [0, 1, 2]]), history, held, items="train")
    assert ranks_of(train, 3) == [0, 1]
    ignored = measure(
        fixed([[0, 1, 2], [0, 1, 2]]), history, held, items="train", outside="ignored"
    )
    assert (ignored.users.tolist(), ignored.n_skipped) == ([1], 1)
    assert ranks_of(ignored, 3) == [1]
    assert train.overall["coverage@3"] == 1.0  # of the two that may be recommended
    cold = measure(fixed([[0, 1, 2], [0, 1, 2]]), history, held, items="cold", outside="ignored")
    assert (cold.users.tolist(), ranks_of(cold, 3)) == ([0], [1])


def test_the_ranks_of_held_out_items_are_kept(interactions, fixed):
    scores, history, held = problem(4)
    found = measure(fixed(scores), history, interactions(held), metrics=[parse_metric("auc")])
    for user, item, rank in zip(found.held.users, found.held.items, found.ranks, strict=True):
        allowed = history[user] == 0
        assert rank == (scores[user][allowed] > scores[user, item]).sum() + 1


def by_sorting(scores, barred, held):
    """Rank of the first held-out item of each user who has one, by a sort of what is not barred."""
    ranks = []
    for row, out, wanted in zip(scores, barred, held, strict=True):
        order = [item for item in np.argsort(-row, kind="stable") if not out[item]]
        found = [place for place, item in enumerate(order, 1) if wanted[item]]
        if wanted.any():
            ranks.append(1 / found[0] if found else 0.0)
    return ranks


@given(st.integers(0, 50))
def test_seen_items_are_ranked_like_others_where_they_are_kept(interactions, fixed, seed):
    scores, history, held = problem(seed)
    held |= np.eye(*held.shape, dtype=bool) & (history > 0)  # some are repeated
    metrics = [parse_metric("mrr@60")]
    for seen, barred in (("removed", history > 0), ("kept", np.zeros_like(held))):
        found = measure(fixed(scores), history, interactions(held), metrics=metrics, seen=seen)
        assert found.per_user["mrr@60"].tolist() == by_sorting(scores, barred, held)


@given(st.integers(0, 50))
def test_kept_items_are_among_sampled_candidates(interactions, fixed, seed):
    scores, history, held = problem(seed)
    negatives = (np.random.default_rng(seed).random(held.shape) < 0.4) & ~held
    negatives[:, 1] |= ~held[:, 1]
    found = measure(
        *(fixed(scores), history, interactions(held), csr_array(negatives)),
        metrics=[parse_metric("mrr@60")],
        seen="kept",
    )
    assert found.per_user["mrr@60"].tolist() == by_sorting(scores, ~(negatives | held), held)


def test_what_is_seen_can_be_more_than_what_a_model_is_shown(interactions, fixed):
    scores, history, held = problem(3)
    more = (np.random.default_rng(1).random(held.shape) < 0.3) & ~held
    train, seen = interactions(history), interactions((history > 0) | more)
    model, evaluator = fixed(scores), Evaluator([parse_metric("mrr@60")], tie_seed=0)
    found = evaluator.evaluate(model, train, train, interactions(held), seen=seen)
    assert found.per_user["mrr@60"].tolist() == by_sorting(scores, (history > 0) | more, held)
    ((users, shown),) = model.shown
    np.testing.assert_array_equal(shown > 0, history[users] > 0)


def test_a_model_is_given_histories_that_it_was_not_fitted_on(interactions, fixed):
    scores, history, held = problem(5)
    train, held = interactions(history), interactions(held)
    later = replace(held, times=np.arange(len(held)))
    more = replace(train, times=np.arange(len(train))).union(later)
    given = []

    class Timed(fixed):
        uses = ("order",)

        def set_histories(self, histories):
            given.append(histories.times)

    class Plain(Timed):
        uses = ()

    evaluator = Evaluator([parse_metric("mrr@10")], tie_seed=0, seen="kept")
    evaluator.evaluate(Timed(scores), train, train, held)
    assert given == []
    evaluator.evaluate(Timed(scores), train, more, held)
    evaluator.evaluate(Plain(scores), train, more, held)
    assert given[0] is more.times
    assert given[1] is None
