import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import random_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._products import (  # noqa: E402
    SparseMatrix,
    chosen_sums,
    dense_product,
    pair_products,
)

seeds = st.integers(0, 2**32 - 1)


def tensor(rng, *shape):
    return torch.from_numpy(rng.standard_normal(shape, np.float32)).requires_grad_()


def gradients(product, weights, *of):
    return torch.autograd.grad((product * weights).sum(), of)


@given(seeds, st.sampled_from([1, 3, 64, 300]))
def test_a_sparse_product_and_its_gradient_are_those_of_the_dense_one(seed, width):
    rng = np.random.default_rng(seed)
    rows = random_array((7, 5), density=0.4, format="csr", dtype=np.float32, random_state=rng)
    dense, weights = tensor(rng, 5, width), tensor(rng, 7, width).detach()
    expected = torch.from_numpy(rows.toarray()) @ dense
    product = SparseMatrix(rows).times(dense)
    torch.testing.assert_close(product, expected)
    torch.testing.assert_close(
        gradients(product, weights, dense), gradients(expected, weights, dense)
    )


@given(seeds, st.integers(1, 40))
def test_pair_products_and_their_gradients_are_those_of_an_einsum(seed, width):
    rng = np.random.default_rng(seed)
    left, table = tensor(rng, 6, width), tensor(rng, 4, width)
    chosen = torch.from_numpy(rng.integers(4, size=(6, 9)))
    weights = tensor(rng, 6, 9).detach()
    weights[weights < 0] = 0
    expected = torch.einsum("nk,nck->nc", left, table[chosen])
    product = pair_products(left, table, chosen)
    torch.testing.assert_close(product, expected, rtol=1e-4, atol=1e-5)
    for got, want in zip(
        gradients(product, weights, left, table),
        gradients(expected, weights, left, table),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@given(seeds, st.integers(1, 40), st.integers(0, 11))
def test_chosen_sums_and_their_gradients_are_those_of_an_einsum(seed, width, n_chosen):
    rng = np.random.default_rng(seed)
    factors, table = tensor(rng, 6, n_chosen), tensor(rng, 4, width)
    with torch.no_grad():
        factors[factors < 0] = 0
    chosen = torch.from_numpy(rng.integers(4, size=(6, n_chosen), dtype=np.int32))
    weights = tensor(rng, 6, width).detach()
    expected = torch.einsum("nc,nck->nk", factors, table[chosen])
    product = chosen_sums(factors, table, chosen)
    torch.testing.assert_close(product, expected, rtol=1e-4, atol=1e-5)
    for got, want in zip(
        gradients(product, weights, factors, table),
        gradients(expected, weights, factors, table),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    fixed, expected = factors.detach(), torch.einsum("nc,nck->nk", factors.detach(), table[chosen])
    torch.testing.assert_close(
        gradients(chosen_sums(fixed, table, chosen), weights, table),
        gradients(expected, weights, table),
        rtol=1e-4,
        atol=1e-5,
    )


@given(seeds, st.integers(0, 9))
def test_every_row_of_a_sparse_product_is_summed_to_its_end(seed, length):
    rng = np.random.default_rng(seed)
    rows = random_array(
        (3, length + 1), density=1, format="csr", dtype=np.float32, random_state=rng
    )
    dense = tensor(rng, length + 1, 17)
    expected = torch.from_numpy(rows.toarray()) @ dense
    torch.testing.assert_close(SparseMatrix(rows).times(dense), expected, rtol=1e-4, atol=1e-5)


@given(seeds)
def test_a_dense_product_and_its_gradients_are_those_of_torch(seed):
    rng = np.random.default_rng(seed)
    left, right, weights = tensor(rng, 6, 4), tensor(rng, 4, 5), tensor(rng, 6, 5).detach()
    product, expected = dense_product(left, right), left @ right
    torch.testing.assert_close(product, expected)
    torch.testing.assert_close(
        gradients(product, weights, left, right), gradients(expected, weights, left, right)
    )


def test_products_have_the_same_bits_for_every_number_of_threads(monkeypatch):
    rng = np.random.default_rng(0)
    rows = random_array((900, 200), density=0.2, format="csr", dtype=np.float32, random_state=rng)
    dense, left = tensor(rng, 200, 40), tensor(rng, 300, 40)
    chosen = torch.from_numpy(rng.integers(200, size=(300, 100)))
    weights, wide = tensor(rng, 300, 100).detach(), tensor(rng, 200, 300)
    found = []
    for threads in (1, 2, 3, torch.get_num_threads()):
        monkeypatch.setenv("NUMBA_NUM_THREADS", str(threads))
        torch.set_num_threads(threads)
        pairs = pair_products(left, dense, chosen)
        sums = chosen_sums(weights, dense, chosen)
        matrix = SparseMatrix(rows)
        products = matrix.times(dense), matrix.times(wide), sums, pairs
        slopes = *gradients(pairs, weights, left, dense), *gradients(sums, left.detach(), dense)
        found.append([*products, *slopes])
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert torch.equal(one, other)
