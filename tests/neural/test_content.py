import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from torch.nn.functional import binary_cross_entropy  # noqa: E402

from recrepro.errors import ModelError  # noqa: E402
from recrepro.neural._content import (  # noqa: E402
    chosen_rows,
    masked,
    reconstruction_loss,
    scaled,
)

seeds = st.integers(0, 2**32 - 1)


def test_columns_or_rows_are_divided_by_their_largest_value():
    counts = csr_array(np.array([[2, 0, 8, 1], [0, 0, 0, 0], [0, 3, 0, 0]], np.float32))
    expected = [[0.25, 0, 1, 0.125], [0, 0, 0, 0], [0, 1, 0, 0]]
    found = scaled(counts, of_row=True)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.toarray(), expected)
    of_columns = [[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]]
    np.testing.assert_array_equal(scaled(counts, of_row=False).toarray(), of_columns)
    assert counts.max() == 8


def test_zeros_that_are_stored_and_no_features_at_all_are_zeros():
    stored = csr_array((np.zeros(2, np.float32), ([0, 1], [0, 1])), shape=(2, 3))
    for of_row in (False, True):
        np.testing.assert_array_equal(scaled(stored, of_row=of_row).toarray(), np.zeros((2, 3)))
        assert scaled(csr_array((4, 3), dtype=np.float32), of_row=of_row).shape == (4, 3)


def test_values_below_zero_are_refused():
    with pytest.raises(ModelError, match=r"there is -2: use item_features"):
        scaled(csr_array(np.array([[1, -2.0]], np.float32)), of_row=False)


def test_a_mask_takes_a_share_of_the_values_and_leaves_the_others_as_they_are():
    rows = random_array((90, 200), density=0.3, format="csr", dtype=np.float32, random_state=1)
    torch.manual_seed(0)
    dense = masked(torch.from_numpy(rows.toarray()), 0.3)
    for some in (masked(rows, 0.3).toarray(), dense.numpy()):
        kept = some != 0
        np.testing.assert_array_equal(some[kept], rows.toarray()[kept])
        assert kept.sum() / rows.nnz == pytest.approx(0.7, abs=0.02)
        assert 0.5 < kept[:, :100].sum() / kept[:, 100:].sum() < 2
    np.testing.assert_array_equal(masked(rows, 0.0).toarray(), rows.toarray())


@pytest.mark.parametrize("squared", [False, True])
@given(seed=seeds, density=st.sampled_from([0.0, 0.3, 1.0]))
def test_losses_and_gradients_are_those_of_the_definition(squared, seed, density):
    rng = np.random.default_rng(seed)
    rows = random_array((5, 9), density=density, format="csr", dtype=np.float32, random_state=rng)
    parts = [
        torch.from_numpy(rng.standard_normal(shape, np.float32)).requires_grad_()
        for shape in ((5, 3), (9, 3), (9,))
    ]
    weights = torch.from_numpy(rng.standard_normal(5, np.float32))
    dense = torch.from_numpy(rows.toarray())
    # In double precision: a sigmoid near 1 has too few digits left for the logarithm of the rest.
    hidden, weight, bias = (part.double() for part in parts)
    outputs = (hidden @ weight.T + bias).sigmoid()
    if squared:
        expected = ((outputs - dense) ** 2).sum(dim=1) / 2
    else:
        expected = binary_cross_entropy(outputs, dense.double(), reduction="none").sum(dim=1)
    expected = expected.float()
    wanted = torch.autograd.grad((expected * weights).sum(), parts)
    for given_rows in (rows, dense):
        found = reconstruction_loss(*parts, given_rows, squared=squared)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        gradients = torch.autograd.grad((found * weights).sum(), parts)
        for got, want in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5)


def test_nothing_known_loses_a_bit_for_each_word():
    rows = csr_array(np.array([[1, 0, 0.5, 0], [0, 0, 0, 0]], np.float32))
    loss = reconstruction_loss(torch.ones(2, 3), torch.zeros(4, 3), torch.zeros(4), rows)
    np.testing.assert_allclose(loss, 4 * np.log(2), rtol=1e-6)


def test_outputs_that_are_sure_and_wrong_lose_much_and_have_a_gradient():
    rows = csr_array(np.array([[0, 1, 1]], np.float32))
    bias = torch.tensor([200.0, 200.0, -200.0], requires_grad=True)
    loss = reconstruction_loss(torch.zeros(1, 1), torch.zeros(3, 1), bias, rows)
    assert loss.item() == pytest.approx(400)
    loss.sum().backward()
    torch.testing.assert_close(bias.grad, torch.tensor([1.0, 0.0, -1.0]))


def test_rows_are_chosen_from_sparse_and_dense_content():
    content = random_array((8, 5), density=0.5, format="csr", dtype=np.float32, random_state=2)
    numbers = torch.tensor([6, 1, 6])
    expected = content.toarray()[[6, 1, 6]]
    np.testing.assert_array_equal(chosen_rows(content, numbers).toarray(), expected)
    np.testing.assert_array_equal(chosen_rows(content.toarray(), numbers), expected)
