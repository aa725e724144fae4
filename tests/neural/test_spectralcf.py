import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, log_expit

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.compute import memory  # noqa: E402
from recrepro.errors import ModelError  # noqa: E402
from recrepro.interactions import Interactions  # noqa: E402
from recrepro.neural.spectralcf import SpectralCF, filter_of_code, laplacian  # noqa: E402

WORKED = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
seeds = st.integers(0, 2**32 - 1)


def interactions(matrix) -> Interactions:
    matrix = np.asarray(matrix, np.float32)
    users, items = np.nonzero(matrix)
    ids = (np.arange(n) for n in matrix.shape)
    return Interactions(
        users.astype(np.int32), items.astype(np.int32), matrix[users, items], None, *ids
    )


def some(seed, shape=(7, 5)) -> Interactions:
    return interactions(np.random.default_rng(seed).random(shape) < 0.4)


def random_walk(train) -> np.ndarray:
    """Return D^-1 (A + I), written out."""
    joined = np.eye(sum(train.shape))
    joined[: train.n_users, train.n_users :] = train.matrix.toarray() != 0
    joined[train.n_users :, : train.n_users] = train.matrix.toarray().T != 0
    return joined / joined.sum(axis=1, keepdims=True)


def degrees(train) -> np.ndarray:
    return np.concatenate([train.user_counts, train.item_counts]) + 1.0


def fit(train, seed=1, **hyperparameters) -> SpectralCF:
    return SpectralCF(**hyperparameters).fit(train, np.random.default_rng(seed))


def parts(model):
    return [p.detach().numpy().astype(np.float64) for p in model.network.parameters()]


def tensors(*arrays):
    return [torch.tensor(array) for array in arrays]


@given(seeds)
def test_the_laplacian_is_similar_to_that_of_the_random_walk(seed):
    train = some(seed)
    walk, root = random_walk(train), np.sqrt(degrees(train))
    np.testing.assert_allclose(walk.sum(axis=1), 1)
    found = laplacian(train).toarray() / root[:, None] * root
    np.testing.assert_allclose(found, np.eye(len(walk)) - walk, atol=1e-14)
    np.testing.assert_allclose(found @ np.ones(len(walk)), 0, atol=1e-14)
    values = np.linalg.eigvalsh(laplacian(train).toarray())
    assert values.min() == pytest.approx(0, abs=1e-12)
    assert values.max() < 2


def test_the_worked_example_has_these_eigenvalues():
    values = np.linalg.eigvalsh(laplacian(interactions(WORKED)).toarray())
    expected = [0, 0.111995, 0.406408, 0.775722, 1.093592, 1.278950]
    np.testing.assert_allclose(values, expected, atol=5e-7)


def test_the_vectors_of_the_symmetric_laplacian_are_orthonormal():
    symmetric = laplacian(interactions(WORKED)).toarray()
    values, vectors = np.linalg.eigh(symmetric)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(vectors * values @ vectors.T, symmetric, atol=1e-12)


def test_those_of_the_random_walk_are_not():
    walk = np.eye(6) - random_walk(interactions(WORKED))
    values, vectors = np.linalg.eig(walk)
    assert np.abs(vectors @ vectors.T - np.eye(6)).max() == pytest.approx(0.2586, abs=5e-5)
    assert np.abs(vectors * values @ vectors.T - walk).max() == pytest.approx(0.1415, abs=5e-5)


def test_the_filter_of_the_code_is_what_a_general_solver_gives():
    train = interactions(WORKED)
    values, vectors = np.linalg.eig(np.eye(6) - random_walk(train))
    expected = vectors @ vectors.T + vectors * values @ vectors.T
    found = filter_of_code(train)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(seeds)
def test_no_signal_passes_between_separate_parts_of_the_graph(seed):
    one, other = some(seed, (4, 3)), some(seed + 1, (3, 5))
    both = np.zeros((7, 8))
    both[:4, :3], both[4:, 3:] = one.matrix.toarray(), other.matrix.toarray()
    found = filter_of_code(interactions(both))
    first = np.r_[:4, 7:10]
    np.testing.assert_allclose(found[np.ix_(first, first)], filter_of_code(one), atol=1e-6)
    rest = np.setdiff1d(np.arange(15), first)
    assert not found[np.ix_(first, rest)].any()


def test_a_node_without_interactions_is_joined_to_itself_only():
    for name in ("paper", "code"):
        model = SpectralCF(filter=name)
        model.build(interactions([[1, 1, 0], [0, 1, 0], [0, 0, 0]]))
        found = model._filter.times(torch.eye(6)).numpy()
        np.testing.assert_array_equal(found[[2, 5]], np.eye(6)[[2, 5]])


@pytest.mark.parametrize("name", ["paper", "code"])
def test_scores_are_products_of_all_layers(name):
    train = some(3)
    model = fit(train, filter=name, epochs=20, n_layers=2, n_factors=4)
    walk, root = np.eye(12) - random_walk(train), np.sqrt(degrees(train))
    filters = {"paper": np.eye(12) + walk * root[:, None] / root, "code": filter_of_code(train)}
    layers = [parts(model)[0]]
    for weights in parts(model)[1:]:
        layers.append(expit(filters[name] @ layers[-1] @ weights))
    vectors = np.hstack(layers)
    scores = model.score(np.arange(7, dtype=np.int32), train.matrix)
    np.testing.assert_allclose(scores, vectors[:7] @ vectors[7:].T, rtol=1e-4)


def test_hidden_layers_are_between_0_and_1():
    train = some(3)
    of_users, of_items = fit(train, n_layers=3, n_factors=4).vectors()
    for vectors in (of_users, of_items):
        hidden = vectors[:, 4:].detach()
        assert hidden.shape[1] == 12
        assert (hidden > 0).all()
        assert (hidden < 1).all()


def test_without_layers_it_is_a_matrix_factorisation():
    train = some(3)
    model = fit(train, n_layers=0, n_factors=4, l2=0.3)
    (factors,) = parts(model)
    scores = model.score(np.arange(7, dtype=np.int32), train.matrix)
    np.testing.assert_allclose(scores, factors[:7] @ factors[7:].T, rtol=1e-5)
    users, liked, others = [0, 3], [1, 2], [4, 0]
    u, i, j = factors[users], factors[7:][liked], factors[7:][others]
    squares = sum((part**2).sum() for part in (u, i, j))
    expected = -log_expit((u * (i - j)).sum(axis=1)).mean() + 0.3 * 0.5 * squares / 2
    found = model.loss(*tensors(users, liked, others)).detach()
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_the_penalty_is_of_all_layers():
    train = some(3)
    without, penalised = (fit(train, epochs=1, l2=l2) for l2 in (0.0, 2.0))
    penalised.network.load_state_dict(without.network.state_dict())
    batch = tensors([0, 3], [1, 2], [4, 0])
    of_users, of_items = without.vectors()
    chosen = of_users[batch[0]], of_items[batch[1]], of_items[batch[2]]
    squares = sum(float((part.detach() ** 2).sum()) for part in chosen)
    difference = float((penalised.loss(*batch) - without.loss(*batch)).detach())
    assert difference == pytest.approx(squares / 2, rel=1e-4)


def test_parameters_start_where_the_code_starts_them():
    network = SpectralCF(n_factors=32).build(some(1, (500, 400)))
    for parameter in network.parameters():
        values = parameter.detach().numpy()
        assert values.mean() == pytest.approx(0.01, abs=0.003)
        assert values.std() == pytest.approx(0.02, abs=0.002)


def test_a_batch_has_different_users_as_long_as_there_are_some():
    train = some(5, (60, 20))
    rng = np.random.default_rng(0)
    (batch,) = SpectralCF(batch_size=50).batches(train, rng)
    assert len(set(batch[0])) == 50
    (batch,) = SpectralCF(batch_size=61).batches(train, rng)
    assert len(batch[0]) == 61


@given(seeds)
def test_samples_are_an_item_of_the_user_and_one_that_is_not(seed):
    matrix = some(seed).matrix.toarray()
    matrix[2], matrix[4] = 0, 1
    matrix[3] = [1, 0, 0, 1, 0]
    train = interactions(matrix)
    batches = list(
        SpectralCF(batch_size=9, steps_per_epoch=3).batches(train, np.random.default_rng(seed))
    )
    assert len(batches) == 3
    for users, liked, others in batches:
        assert len(users) == 9
        assert not set(users) & {2, 4}
        assert matrix[users, liked].all()
        assert not matrix[users, others].any()


def test_users_and_then_their_items_are_drawn_equally_often():
    matrix = np.zeros((3, 6))
    matrix[0, 0], matrix[1, :4], matrix[2, 1:3] = 1, 1, 1
    model = SpectralCF(batch_size=30_000)
    (batch,) = model.batches(interactions(matrix), np.random.default_rng(0))
    users, liked, others = batch
    np.testing.assert_allclose(np.bincount(users) / 30_000, 1 / 3, atol=0.01)
    found = np.bincount(liked[users == 1], minlength=6) / (users == 1).sum()
    np.testing.assert_allclose(found, [0.25] * 4 + [0, 0], atol=0.02)
    found = np.bincount(others[users == 2], minlength=6) / (users == 2).sum()
    np.testing.assert_allclose(found, [0.25, 0, 0, 0.25, 0.25, 0.25], atol=0.02)


def test_nothing_is_learned_where_nobody_can_be_drawn():
    train = interactions([[1, 1], [0, 0]])
    model = fit(train, epochs=2)
    assert not list(model.batches(train, np.random.default_rng(0)))
    assert np.isfinite(model.score(np.arange(2, dtype=np.int32), train.matrix)).all()


def test_the_filter_of_the_code_is_refused_where_it_does_not_fit(monkeypatch):
    train = some(1, (50, 40))
    needed = SpectralCF(filter="code").memory_needed(train)
    assert needed >= 4 * 90**2
    assert SpectralCF().memory_needed(train) == 0
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    fit(train, epochs=1)
    with pytest.raises(ModelError, match="filter to 'paper'"):
        fit(train, epochs=1, filter="code")


def test_values_are_ignored():
    train = some(2)
    rated = interactions(train.matrix.toarray() * 5)
    for name in ("paper", "code"):
        one, other = (
            fit(data, filter=name, epochs=3).score(np.arange(7, dtype=np.int32), train.matrix)
            for data in (train, rated)
        )
        np.testing.assert_array_equal(one, other)
