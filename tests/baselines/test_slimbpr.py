import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array

from recrepro.baselines._slim_kernels import descend_similarities
from recrepro.baselines.slimbpr import SLIMBPR, _largest_of_rows
from recrepro.errors import ModelError
from recrepro.interactions import Interactions

TOY = [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
OPTIMIZERS = ("sgd", "adagrad", "adam")


def random_interactions(seed: int, n_users: int = 12, n_items: int = 9) -> np.ndarray:
    return (np.random.default_rng(seed).random((n_users, n_items)) < 0.4).astype(np.float32)


def random_samples(x: np.ndarray, seed: int, n_samples: int) -> list[tuple[int, int, int]]:
    rng = np.random.default_rng(seed)
    users = rng.choice(np.flatnonzero((x > 0).any(axis=1) & (x == 0).any(axis=1)), n_samples)
    return [
        (u, rng.choice(np.nonzero(x[u])[0]), rng.choice(np.nonzero(x[u] == 0)[0])) for u in users
    ]


def learned(
    x: np.ndarray,
    samples: list[tuple[int, int, int]],
    s: np.ndarray,
    *,
    optimizer: str = "sgd",
    symmetric: bool = False,
    rate: float = 0.1,
    l2: tuple[float, float] = (0.0, 0.0),
) -> tuple[np.ndarray, float]:
    """Let the kernel take steps over samples; return the similarities and the loss."""
    rows = csr_array(x)
    s = s.astype(np.float32)
    state = np.zeros(len(s)), np.zeros(len(s))
    columns = (np.array(column, np.int32) for column in zip(*samples, strict=True))
    number = OPTIMIZERS.index(optimizer)
    loss = descend_similarities(
        *columns, rows.indptr, rows.indices, s, symmetric, rate, *l2, number, *state, 0
    )
    return s, loss


def plain(
    x: np.ndarray,
    samples: list[tuple[int, int, int]],
    s: np.ndarray,
    *,
    optimizer: str,
    symmetric: bool,
    rate: float,
    l2: tuple[float, float],
) -> np.ndarray:
    """Take the same steps as the formulas have them, one number at a time."""
    s = s.astype(np.float64)
    past: dict[int, list[float]] = {item: [] for item in range(len(s))}
    steps: dict[int, list[int]] = {item: [] for item in range(len(s))}

    def scaled(g: float, item: int, step: int) -> float:
        past[item].append(g)
        steps[item].append(step)
        gs = np.array(past[item])
        if optimizer == "sgd":
            return g
        if optimizer == "adagrad":
            return g / (np.sqrt((gs**2).sum()) + 1e-8)
        ages = np.arange(len(gs))[::-1]
        mean = (0.1 * 0.9**ages * gs).sum() / (1 - 0.9**step)
        square = (0.001 * 0.999**ages * gs**2).sum() / (1 - 0.999**step)
        return mean / (np.sqrt(square) + 1e-8)

    for step, (u, i, j) in enumerate(samples, start=1):
        own = np.flatnonzero(x[u])
        difference = s[i, own].sum() - s[j, own].sum()
        g = 1 / (1 + np.exp(difference))
        g_i, g_j = scaled(g, i, step), scaled(g, j, step)
        for item in own:
            if item != i:
                s[i, item] += rate * (g_i - l2[0] * s[i, item])
            s[j, item] -= rate * (g_j + l2[1] * s[j, item])
            if symmetric:
                s[item, i], s[item, j] = s[i, item], s[j, item]
    return s


def test_worked_first_step():
    # User 0 has items 0 and 1; 0 is preferred to 2. The diagonal stays 0.
    s, loss = learned(np.array(TOY), [(0, 0, 2)], np.zeros((3, 3)))
    np.testing.assert_allclose(s, [[0, 0.05, 0], [0, 0, 0], [-0.05, -0.05, 0]], rtol=1e-6)
    assert loss == pytest.approx(np.log(2))


def test_worked_first_step_with_symmetry():
    s, _ = learned(np.array(TOY), [(0, 0, 2)], np.zeros((3, 3)), symmetric=True)
    np.testing.assert_allclose(s, [[0, 0.05, -0.05], [0.05, 0, -0.05], [-0.05, -0.05, 0]], 1e-6)


@given(
    st.integers(0, 10_000),
    st.sampled_from(OPTIMIZERS),
    st.booleans(),
    st.sampled_from([(0.0, 0.0), (0.1, 0.0), (0.0, 0.3), (0.2, -0.1)]),
)
def test_steps_follow_the_formulas(seed, optimizer, symmetric, l2):
    x = random_interactions(seed)
    start = np.random.default_rng(seed).normal(0, 0.3, (9, 9))
    start = (start + start.T) * ~np.eye(9, dtype=bool)
    options = {"optimizer": optimizer, "symmetric": symmetric, "rate": 0.05, "l2": l2}
    samples = random_samples(x, seed, 30)
    got, _ = learned(x, samples, start, **options)
    np.testing.assert_allclose(got, plain(x, samples, start, **options), rtol=1e-4, atol=1e-5)
    assert (got.diagonal() == 0).all()
    if symmetric:
        np.testing.assert_array_equal(got, got.T)


def test_a_step_goes_against_the_slope_of_the_objective():
    rng = np.random.default_rng(3)
    x = random_interactions(3)
    start = rng.normal(0, 0.3, (9, 9)) * ~np.eye(9, dtype=bool)
    (sample,) = random_samples(x, 3, 1)
    u, i, j = sample
    own = np.flatnonzero(x[u])
    l2 = (0.3, 0.7)

    def objective(s: np.ndarray) -> float:
        difference = s[i, own].sum() - s[j, own].sum()
        penalty = l2[0] * (s[i, own] ** 2).sum() + l2[1] * (s[j, own] ** 2).sum()
        return np.log1p(np.exp(-difference)) + penalty / 2

    rate = 0.1
    got, _ = learned(x, [sample], start, rate=rate, l2=l2)
    for row, column in np.ndindex(9, 9):
        if row == column:
            continue
        shift = np.zeros((9, 9))
        shift[row, column] = 1e-5
        slope = (objective(start + shift) - objective(start - shift)) / 2e-5
        assert got[row, column] == pytest.approx(start[row, column] - rate * slope, abs=1e-5)


def epochs_of(model: SLIMBPR, rows: np.ndarray, interactions, n_epochs: int) -> list[np.ndarray]:
    train: Interactions = interactions(rows)
    found = []
    for stats in model.fit_epochs(train, np.random.default_rng(5)):
        found.append(model.score(np.arange(train.n_users, dtype=np.int32), train.matrix))
        if stats.epoch == n_epochs:
            break
    return found


def test_every_epoch_can_be_scored_and_is_what_a_shorter_fit_gives(interactions):
    x = random_interactions(6)
    after_each = epochs_of(SLIMBPR(optimizer="adam"), x, interactions, 4)
    for n, seen in enumerate(after_each, start=1):
        model = SLIMBPR(optimizer="adam", epochs=n)
        model.fit(interactions(x), np.random.default_rng(5))
        got = model.score(np.arange(len(x), dtype=np.int32), interactions(x).matrix)
        np.testing.assert_array_equal(got, seen)
    assert not np.array_equal(after_each[0], after_each[-1])


@pytest.mark.parametrize("symmetric", [False, True])
def test_scores_sum_what_was_learned(interactions, symmetric):
    x = random_interactions(7)
    model = SLIMBPR(symmetric=symmetric, n_neighbors=1000, epochs=20)
    model.fit(interactions(x), np.random.default_rng(0))
    got = model.score(np.arange(len(x), dtype=np.int32), interactions(x).matrix)
    np.testing.assert_allclose(got, x @ model.similarities.T, rtol=1e-5, atol=1e-6)
    transposed = np.allclose(model.similarities, model.similarities.T)
    assert transposed == symmetric


def test_the_studys_slips_are_the_transpose_and_the_sign_of_a_penalty(interactions):
    x = random_interactions(8)
    users = np.arange(len(x), dtype=np.int32)
    train = interactions(x)
    shared = {"symmetric": False, "epochs": 30, "n_neighbors": 1000, "l2_negative": 0.5}
    ours = SLIMBPR(**shared).fit(train, np.random.default_rng(0))
    theirs = SLIMBPR(**shared, as_in_study=True).fit(train, np.random.default_rng(0))
    np.testing.assert_allclose(
        theirs.score(users, train.matrix), x @ theirs.similarities, rtol=1e-5, atol=1e-6
    )
    assert np.abs(theirs.similarities).sum() > np.abs(ours.similarities).sum()
    free = {**shared, "l2_negative": 0.0}
    without = SLIMBPR(**free).fit(train, np.random.default_rng(0)).similarities
    assert np.abs(theirs.similarities).sum() > np.abs(without).sum() > 0


def test_similarities_are_cut_in_rows_and_then_in_columns(interactions):
    x = random_interactions(9, 40, 12)
    train = interactions(x)
    model = SLIMBPR(n_neighbors=3, epochs=40, symmetric=False).fit(train, np.random.default_rng(0))

    def cut(rows: np.ndarray) -> np.ndarray:
        kept = np.zeros_like(rows)
        for row, out in zip(rows, kept, strict=True):
            for column in np.lexsort((np.arange(len(row)), -row))[:3]:
                out[column] = row[column]
        return kept

    expected = cut(cut(model.similarities).T)
    assert (expected != 0).sum(axis=0).max() <= 3
    got = model.score(np.arange(40, dtype=np.int32), train.matrix)
    np.testing.assert_allclose(got, x @ expected, rtol=1e-5, atol=1e-6)


@given(
    arrays(
        np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(-3, 3)
    ),
    st.integers(1, 8),
)
def test_the_largest_of_a_row_stay_and_of_equal_ones_the_first(rows, k):
    expected = np.zeros_like(rows)
    for row, out in zip(rows, expected, strict=True):
        for column in sorted(range(len(row)), key=lambda column: (-row[column], column))[:k]:
            out[column] = row[column]
    np.testing.assert_array_equal(_largest_of_rows(csr_array(rows), k).toarray(), expected)


def test_values_are_ignored(interactions):
    x = random_interactions(10)
    values = x * np.random.default_rng(0).integers(1, 6, x.shape)
    users = np.arange(len(x), dtype=np.int32)
    scores = [
        SLIMBPR().fit(train, np.random.default_rng(0)).score(users, train.matrix)
        for train in (interactions(x), interactions(values))
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("x", [np.ones((3, 4)), np.zeros((3, 4))])
def test_nothing_can_be_learned_from_users_with_all_items_or_none(scores, x):
    assert not scores(SLIMBPR(), x).any()


def test_users_are_drawn_equally_often_and_then_their_items(interactions):
    # One user with one item and one with four; the loss would fall alike under other draws, so the
    # steps are counted: at a tiny rate each adds the same to the row of its preferred item.
    x = np.zeros((2, 8))
    x[0, [0, 1]] = 1
    x[1, 2:7] = 1
    model = SLIMBPR(symmetric=False, learning_rate=1e-6, l2_positive=0.0, epochs=4000)
    model.fit(interactions(x), np.random.default_rng(0))
    steps = model.similarities / (1e-6 * 0.5)
    first = steps[0, 1] + steps[1, 0]
    second = sum(steps[i, 3 if i == 2 else 2] for i in range(2, 7))
    assert first == pytest.approx(4000, rel=0.05)
    assert second == pytest.approx(4000, rel=0.05)
    assert steps[0, 1] == pytest.approx(2000, rel=0.08)
    assert steps[4, 2] == pytest.approx(800, rel=0.12)


def test_the_loss_falls(interactions):
    train = interactions(random_interactions(11, 60, 30))
    losses = []
    for stats in SLIMBPR(learning_rate=0.05).fit_epochs(train, np.random.default_rng(0)):
        losses.append(stats.values["loss"])
        if stats.epoch == 40:
            break
    assert losses[0] == pytest.approx(np.log(2), abs=0.1)
    assert np.mean(losses[-5:]) < 0.7 * np.log(2)


def test_what_does_not_fit_is_refused_before_it_starts(monkeypatch, interactions):
    monkeypatch.setattr("recrepro.compute.memory.available_bytes", lambda: 3_000)
    with pytest.raises(ModelError, match="SLIMBPR for 30 items needs about"):
        SLIMBPR().fit(interactions(np.eye(30)), np.random.default_rng(0))
