import numpy as np

from recrepro.baselines.random import Random


def test_scores_are_uniform_and_differ_between_users_and_seeds(interactions):
    train = interactions(np.eye(300))
    users = np.arange(300, dtype=np.int32)
    first = Random().fit(train, np.random.default_rng(0)).score(users, train.matrix)
    other = Random().fit(train, np.random.default_rng(1)).score(users, train.matrix)
    assert ((first >= 0) & (first < 1)).all()
    counts = np.histogram(first, bins=10, range=(0, 1))[0]
    assert (np.abs(counts - 9000) < 500).all()
    between_users = np.corrcoef(first)[~np.eye(300, dtype=bool)]
    assert np.abs(between_users).max() < 0.35
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.02


def test_a_score_depends_on_user_and_seed_only(interactions):
    train = interactions(np.eye(6))
    model = Random().fit(train, np.random.default_rng(0))
    forward = model.score(np.arange(6, dtype=np.int32), train.matrix)
    backward = model.score(np.arange(6, dtype=np.int32)[::-1], 2 * train.matrix)
    np.testing.assert_array_equal(forward, backward[::-1])


def test_fit_takes_its_randomness_from_the_generator_alone(interactions):
    train = interactions(np.eye(6))
    generator = np.random.default_rng(0)
    first, second = (Random().fit(train, generator).key for _ in range(2))
    assert first != second
