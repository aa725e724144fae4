import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array

from recrepro.baselines._similarity import Divisor, gram, largest_products, largest_values
from recrepro.baselines.ease import EASE
from recrepro.baselines.itemknn import ItemKNN
from recrepro.baselines.p3alpha import P3alpha
from recrepro.baselines.rp3beta import RP3beta
from recrepro.baselines.userknn import UserKNN
from recrepro.errors import DataError

MODELS = [ItemKNN, UserKNN, P3alpha, RP3beta, EASE]
few_levels = arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 40)), elements=st.integers(-1, 3)
)
numbers = st.floats(0.1, 5)


@given(few_levels, st.integers(1, 42), st.data())
def test_the_largest_products_are_kept_and_of_equal_ones_the_leftmost(largest, x, k, data):
    n = x.shape[1]
    vector = arrays(np.float64, n, elements=numbers)
    f, g, a, b = (data.draw(vector) for _ in range(4))
    s, h = data.draw(st.floats(0, 1)), data.draw(numbers)
    kept = largest_products(csr_array(x.T.copy()), csr_array(x), k, Divisor(h, f, g, a, b, s))
    products = x.T.astype(np.float64) @ x
    # Summed in the kernel's order, because the last bit decides who is kept.
    below = np.outer(f, g) + b[np.newaxis] + (a + h)[:, np.newaxis] + s * products
    assume((np.abs(below) > 1e-9).all())
    expected = (products / below).astype(np.float32)
    np.fill_diagonal(expected, 0)
    assert kept.dtype == np.float32
    assert kept.has_canonical_format
    np.testing.assert_array_equal(kept.toarray(), largest(expected, k))


@given(few_levels, st.integers(1, 42))
def test_the_largest_values_are_kept_and_of_equal_ones_the_leftmost(largest, values, k):
    kept = largest_values(csr_array(values), k)
    np.testing.assert_array_equal(kept.toarray(), largest(values, k))
    assert kept.dtype == np.float32


@pytest.mark.parametrize("k", [1, 7, 63, 64, 65, 300])
def test_long_rows_are_selected_as_sorting_does(largest, k):
    rng = np.random.default_rng(0)
    x = (rng.random((50, 300)) < 0.2).astype(np.float32)
    kept = largest_products(csr_array(x.T.copy()), csr_array(x), k)
    counts = (x.T @ x) * (1 - np.eye(300, dtype=np.float32))
    np.testing.assert_array_equal(kept.toarray(), largest(counts, k))


@pytest.mark.parametrize("model", MODELS)
def test_threads_do_not_change_a_bit(monkeypatch, scores, model):
    rng = np.random.default_rng(1)
    matrix = rng.integers(1, 6, (300, 600)) * (rng.random((300, 600)) < 0.1)
    config = {} if model is EASE else {"n_neighbors": 5}
    found = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(scores(model(**config), matrix))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_the_gram_matrix_is_the_product():
    rng = np.random.default_rng(0)
    matrix = rng.random((15, 11)) * (rng.random((15, 11)) < 0.4)
    sparse = csr_array(matrix.astype(np.float32))
    exact = sparse.toarray().astype(np.float64)
    np.testing.assert_allclose(gram(sparse, np.float64), exact.T @ exact, rtol=1e-14)
    np.testing.assert_array_equal(
        gram(sparse, np.float32), gram(sparse, np.float64).astype(np.float32)
    )


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
