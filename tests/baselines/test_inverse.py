import platform
import sys

import numpy as np
import pytest

from recrepro.baselines._inverse import invert


def some_matrix(n, dtype=np.float64):
    x = np.random.default_rng(0).random((n + 5, n))
    return (x.T @ x + np.eye(n)).astype(dtype)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("block", [1, 3, 7, 39, 64])
def test_blocks_of_any_size_give_the_inverse(n, block):
    matrix = some_matrix(n)
    inverse = matrix.copy()
    invert(inverse, block)
    np.testing.assert_allclose(inverse, np.linalg.inv(matrix), rtol=1e-9, atol=1e-10)


def test_single_precision_stays_single_and_is_close():
    matrix = some_matrix(50)
    inverse = matrix.astype(np.float32)
    invert(inverse, 16)
    assert inverse.dtype == np.float32
    np.testing.assert_allclose(inverse, np.linalg.inv(matrix), atol=2e-5)


@pytest.mark.parametrize("block", [2, 10])
def test_what_is_not_positive_definite_is_refused(block):
    matrix = some_matrix(6)
    matrix[4, 4] = -1
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        invert(matrix, block)


def test_threads_do_not_change_a_bit(monkeypatch):
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(some_matrix(200, np.float32))
        invert(found[-1], 32)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("threads", ["1", "2"])
def test_denormal_numbers_which_slow_products_down_are_zero(monkeypatch, threads):
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    tiny = np.finfo(np.float32).tiny
    n = 60  # a chain: every step from the diagonal divides by 1e7
    matrix = (1e7 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)).astype(np.float32)
    inverse = matrix.copy()
    invert(inverse, 16)
    true = np.linalg.inv(matrix.astype(np.float64))
    normal = np.abs(true) >= tiny
    np.testing.assert_allclose(inverse[normal], true[normal], rtol=1e-5)
    if sys.platform == "linux" and platform.machine() == "x86_64":
        assert not inverse[~normal].any()
    assert tiny / np.float32(2) > 0  # as before, outside
