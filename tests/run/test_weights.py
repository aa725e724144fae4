"""What models have learned, written as arrays and read without unpickling."""

import io

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from recrepro.baselines.ease import EASE
from recrepro.baselines.random import Random
from recrepro.baselines.userknn import UserKNN
from recrepro.run.weights import weights_of


@pytest.fixture
def train(interactions, rng):
    return interactions(random_array((20, 12), density=0.4, rng=rng).toarray() > 0)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def stored(model):
    return np.load(io.BytesIO(weights_of(model)), allow_pickle=False)


def test_arrays_are_stored_under_their_names(train, rng):
    model = EASE(l2=5.0).fit(train, rng)
    parts = stored(model)
    dense = {k: v for k, v in vars(model).items() if isinstance(v, np.ndarray)}
    assert dense
    for name, value in dense.items():
        np.testing.assert_array_equal(parts[name], value)


def test_sparse_matrices_can_be_put_together_again(train, rng):
    model = UserKNN().fit(train, rng)
    parts = stored(model)
    for name in ("profiles", "user_weights"):
        matrix = csr_array(
            tuple(parts[f"{name}.{key}"] for key in ("data", "indices", "indptr")),
            shape=tuple(parts[f"{name}.shape"]),
        )
        np.testing.assert_array_equal(matrix.toarray(), vars(model)[name].toarray())


def test_a_network_is_read_by_its_own_load(train, rng, tmp_path):
    from recrepro.neural.gmf import GMF

    model = GMF(epochs=1).fit(train, rng)
    (tmp_path / "model.npz").write_bytes(weights_of(model))
    again = GMF(epochs=1).load(tmp_path / "model.npz", train)
    users = np.arange(20, dtype=np.int32)
    histories = csr_array((20, 12), dtype=np.float32)
    np.testing.assert_array_equal(again.score(users, histories), model.score(users, histories))


def test_numbers_are_stored_too(train, rng):
    model = Random().fit(train, rng)
    assert stored(model)["key"] == model.key


def test_a_model_that_keeps_nothing_of_these_kinds_has_none(train, rng):
    model = Random().fit(train, rng)
    model.key = object()
    assert weights_of(model) is None
