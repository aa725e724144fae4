import numpy as np

from recrepro.baselines.toppopular import TopPopular


def test_the_score_is_the_number_of_interactions(scores):
    np.testing.assert_array_equal(
        scores(TopPopular(), [[1, 1, 0], [0, 1, 1], [1, 0, 0]]), [[2, 2, 1]] * 3
    )


def test_values_do_not_count(scores):
    np.testing.assert_array_equal(scores(TopPopular(), [[5, 1, 0], [0, 4, 0]]), [[1, 2, 0]] * 2)


def test_the_scores_can_be_written_to(scores):
    rows = scores(TopPopular(), np.eye(3))
    rows[0, 0] = -np.inf
    assert rows[1, 0] == 1
