import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural import _cross_entropy  # noqa: E402
from recrepro.neural._cross_entropy import cross_entropy_over  # noqa: E402


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 9))
def test_loss_and_gradients_are_those_of_torch(seed, n, n_rows):
    torch.manual_seed(seed)
    table, states = (torch.randn(rows, 5, requires_grad=True) for rows in (n_rows, n))
    targets = torch.randint(n_rows, (n,), dtype=torch.int32)
    expected = torch.nn.functional.cross_entropy(states @ table.T, targets.long())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cross_entropy, "_LOGITS_AT_ONCE", 20)  # several blocks
        loss = cross_entropy_over(table, states, targets)
    torch.testing.assert_close(loss, expected)
    for got, want in zip(
        torch.autograd.grad(3 * loss, (table, states)),
        torch.autograd.grad(3 * expected, (table, states)),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-6)


def test_large_logits_do_not_overflow():
    table = torch.tensor([[1000.0], [-1000.0]], requires_grad=True)
    loss = cross_entropy_over(table, torch.tensor([[1.0]]), torch.tensor([1]))
    assert loss.item() == 2000
