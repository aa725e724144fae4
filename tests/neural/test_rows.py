"""Rows of a batch, each encoded once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._rows import Rows  # noqa: E402

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 60))
def test_each_row_asked_for_has_its_place_among_the_products(seed, n):
    rng = np.random.default_rng(seed)
    matrix = random_array((12, 7), density=0.3, format="csr", dtype=np.float32, random_state=rng)
    dense = torch.from_numpy(rng.standard_normal((7, 3), np.float32))
    asked = torch.from_numpy(rng.integers(12, size=n))
    rows, places = Rows(csr_array(matrix)).of(asked)
    expected = torch.from_numpy(matrix.toarray()) @ dense
    torch.testing.assert_close(rows.times(dense)[places], expected[asked])


def test_few_rows_are_copied_and_of_many_all_are_taken_as_they_are():
    rows = Rows(csr_array(np.eye(10, dtype=np.float32)))
    few, _ = rows.of(torch.tensor([3, 3, 8]))
    assert few.times(torch.eye(10)).shape == (2, 10)
    many, places = rows.of(torch.arange(9))
    assert many is rows.all
    assert places.tolist() == list(range(9))


@pytest.mark.parametrize("asked", [[0, 1], list(range(10))])
def test_dropped_values_are_0_and_the_others_keep_the_mean(asked):
    rows = Rows(csr_array(np.full((10, 4000), 3, np.float32)))
    torch.manual_seed(1)
    dropped, places = rows.of(torch.tensor(asked), share=0.25)
    values = dropped.times(torch.eye(4000))[places]
    assert set(values.unique().tolist()) == {0.0, 4.0}
    assert (values == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    np.testing.assert_array_equal(rows.matrix.data, 3)
