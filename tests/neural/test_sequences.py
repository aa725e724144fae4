"""Sequences in blocks with little padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="neural models need torch")

from recrepro.neural._sequences import of_similar_length  # noqa: E402


@given(
    st.lists(st.integers(1, 30), max_size=40),
    st.integers(1, 100),
    st.integers(0, 60),
)
def test_blocks_hold_every_sequence_once_and_keep_to_the_limits(lengths, places, padding):
    lengths = np.array(lengths, np.int64)
    blocks = list(of_similar_length(lengths, places, padding))
    assert sorted(n for block in blocks for n in block) == list(range(len(lengths)))
    for block in blocks:
        inside = lengths[block]
        assert len(block) == 1 or len(block) * inside.max() <= places
        assert (inside.max() - inside).sum() <= padding
