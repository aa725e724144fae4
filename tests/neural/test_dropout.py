import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._dropout import Dropout  # noqa: E402

SHARES = st.floats(0.05, 0.95)


def dropped(share, values, seed=0):
    torch.manual_seed(seed)
    return Dropout(share)(values)


@given(SHARES, st.integers(0, 2**32 - 1))
def test_as_many_are_dropped_as_asked_for_and_the_others_are_scaled_up(share, seed):
    ones = dropped(share, torch.ones(200, 100), seed)
    kept = ones[ones != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)))
    spread = (share * (1 - share) / ones.numel()) ** 0.5
    assert abs(len(kept) / ones.numel() - (1 - share)) < 6 * spread


def test_the_gradient_passes_where_the_values_did():
    values = torch.randn(7, 11, requires_grad=True)
    out = dropped(0.3, values)
    out.sum().backward()
    torch.testing.assert_close(values.grad, (out != 0).float() / 0.7)


def test_what_is_dropped_has_no_pattern():
    kept = (dropped(0.5, torch.ones(2**20)) != 0).double() - 0.5
    for lag in (1, 2, 3, 7, 16, 50, 200, 256, 4096):
        assert abs((kept[:-lag] * kept[lag:]).mean()) < 6 * 0.25 / 2**10


def test_each_call_drops_others_and_equal_seeds_drop_the_same():
    ones = torch.ones(2**16)
    layer = Dropout(0.5)
    torch.manual_seed(3)
    first, second = layer(ones) != 0, layer(ones) != 0
    assert abs((first & second).double().mean() - 0.25) < 0.02
    assert torch.equal(dropped(0.5, ones, seed=3) != 0, first)
    assert not torch.equal(dropped(0.5, ones, seed=4) != 0, first)


def test_the_bits_are_the_same_for_every_number_of_threads(monkeypatch):
    values = torch.randn(2**18 + 5)
    found = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(dropped(0.4, values))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_a_layer_that_does_not_train_or_drops_nothing_returns_what_it_got():
    values = torch.randn(3, 4)
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0)(values) is values


def test_rows_that_do_not_lie_together_keep_their_places():
    values = torch.arange(1.0, 13).reshape(3, 4).T
    out = dropped(0.5, values)
    assert torch.equal(out[out != 0], 2 * values[out != 0])
    assert np.array_equal(out.shape, (4, 3))
