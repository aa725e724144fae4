"""What is written of a test part: nothing that is not finite."""

import numpy as np
import pytest

from recrepro.errors import DataError
from recrepro.evaluation.rankings import Evaluation
from recrepro.run.outcome import measured


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_never_written(interactions, wrong):
    train = interactions([[1, 0], [0, 1]])
    for values, overall in (([0.5, wrong], {}), ([0.5, 0.25], {"b": wrong})):
        evaluation = Evaluation(np.arange(2), {"a": np.array(values)}, overall)
        with pytest.raises(DataError, match=f"the metric '{'b' if overall else 'a'}' is not a fin"):
            measured(evaluation, train)
