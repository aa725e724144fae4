import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array

from recrepro.baselines import _similarity
from recrepro.baselines._similarity import gram, gram_blocks, row_blocks, top_k
from recrepro.baselines.ease import EASE
from recrepro.baselines.itemknn import ItemKNN
from recrepro.baselines.p3alpha import P3alpha
from recrepro.baselines.rp3beta import RP3beta
from recrepro.baselines.userknn import UserKNN
from recrepro.errors import DataError

MODELS = [ItemKNN, UserKNN, P3alpha, RP3beta, EASE]
few_levels = arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 30)), elements=st.integers(-1, 3)
)


@settings(deadline=None, derandomize=True)
@given(few_levels, st.integers(1, 32))
def test_top_k_keeps_the_largest_and_of_equal_ones_the_leftmost(largest, values, k):
    kept = top_k([(0, values.copy())], k, skip_diagonal=False)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept.toarray(), largest(values, k))


def test_ties_at_the_border_go_to_the_lower_index():
    block = np.array([[0, 1, 3, 1, 1, 3]], np.float32)
    kept = top_k([(0, block)], 3, skip_diagonal=False)
    np.testing.assert_array_equal(kept.toarray(), [[0, 1, 3, 0, 0, 3]])


def test_the_diagonal_is_left_out_wherever_the_block_starts():
    ones = np.ones((4, 4), np.float32)
    kept = top_k([(0, ones[:1].copy()), (1, ones[:3].copy())], 9)
    np.testing.assert_array_equal(kept.toarray(), 1 - np.eye(4))


def test_sparse_rows_are_selected_as_dense_ones_are():
    rng = np.random.default_rng(0)
    dense = rng.integers(1, 4, (20, 60)).astype(np.float32)
    sparse = np.zeros((20, 600), np.float32)
    columns = np.sort(rng.permuted(np.tile(np.arange(600), (20, 1)), axis=1)[:, :60], axis=1)
    np.put_along_axis(sparse, columns, dense, axis=1)
    from_dense = top_k([(0, dense)], 13, skip_diagonal=False)
    from_sparse = top_k([(0, sparse)], 13, skip_diagonal=False)
    np.testing.assert_array_equal(from_sparse.data, from_dense.data)
    np.testing.assert_array_equal(
        from_sparse.indices, columns[np.repeat(np.arange(20), 13), from_dense.indices]
    )


def test_row_blocks_cover_every_row_once(monkeypatch):
    monkeypatch.setattr(_similarity, "BLOCK", 10)
    assert [(part.start, part.stop) for part in row_blocks(7, 4)] == [
        (0, 2),
        (2, 4),
        (4, 6),
        (6, 7),
    ]
    assert [(part.start, part.stop) for part in row_blocks(2, 100)] == [(0, 1), (1, 2)]
    assert list(row_blocks(0, 0)) == []


@pytest.mark.parametrize("block", [1, 7, 50, 10**6])
@pytest.mark.parametrize("whole", [0, 10**6])
def test_gram_blocks_are_the_gram_matrix(monkeypatch, block, whole):
    monkeypatch.setattr(_similarity, "BLOCK", block)
    monkeypatch.setattr(_similarity, "WHOLE", whole)
    rng = np.random.default_rng(0)
    matrix = rng.random((15, 11)) * (rng.random((15, 11)) < 0.4)
    sparse = csr_array(matrix.astype(np.float32))
    rows = np.vstack([rows for _, rows in gram_blocks(sparse)])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, matrix.T @ matrix, rtol=1e-5)
    np.testing.assert_allclose(gram(sparse, np.float64), matrix.T @ matrix, rtol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_blocks_do_not_change_a_bit(monkeypatch, scores, model):
    rng = np.random.default_rng(1)
    matrix = rng.integers(1, 6, (30, 40)) * (rng.random((30, 40)) < 0.3)
    config = {} if model is EASE else {"n_neighbors": 5}
    expected = scores(model(**config), matrix)
    for block, whole in ((1, 0), (100, 0), (100, 10**6)):
        monkeypatch.setattr(_similarity, "BLOCK", block)
        monkeypatch.setattr(_similarity, "WHOLE", whole)
        if model is EASE:
            np.testing.assert_allclose(scores(model(), matrix), expected, rtol=1e-6)
        else:
            np.testing.assert_array_equal(scores(model(**config), matrix), expected)


@pytest.mark.parametrize("model", [ItemKNN, P3alpha, RP3beta])
def test_weights_stay_sparse_where_they_are_sparse(interactions, model):
    rng = np.random.default_rng(1)
    train = interactions(rng.random((50, 40)) < 0.3)
    sparse = model(n_neighbors=3).fit(train, rng)
    assert isinstance(sparse.item_weights, csr_array)
    assert sparse.item_weights.dtype == np.float32
    full = model(n_neighbors=1000).fit(train, rng)
    assert isinstance(full.item_weights, np.ndarray)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("shape", [(3, 4), (1, 1)])
def test_no_interactions_at_all_score_zero(scores, model, shape):
    np.testing.assert_array_equal(scores(model(), np.zeros(shape)), np.zeros(shape))


@pytest.mark.parametrize(
    "model", [P3alpha(), RP3beta(), ItemKNN(weighting="tfidf"), UserKNN(weighting="bm25")]
)
def test_negative_values_are_refused_where_they_mean_nothing(interactions, model):
    train = interactions([[1, -2], [1, 1]])
    with pytest.raises(DataError, match=r"at least 0, but got -2"):
        model.fit(train, np.random.default_rng(0))
