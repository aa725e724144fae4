"""Pictures: the same bytes from the same numbers, whatever the search was like."""

import pytest

from recrepro.charts.files import draw_tuning
from recrepro.errors import UsageError


def trial(number, value, curve=()):
    state = "failed" if value is None else "complete"
    return {"number": number, "state": state, "value": value, "curve": list(curve)}


CURVE = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "ndcg@10": 0.2}]


@pytest.mark.parametrize(
    ("trials", "panels"),
    [
        ([trial(0, 0.1), trial(1, None), trial(2, 0.3)], 1),
        ([trial(0, 0.2, CURVE), trial(1, None, CURVE[:1])], 2),
        ([trial(0, None)], 1),
    ],
)
def test_a_search_is_drawn_the_same_each_time(trials, panels, tmp_path):
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    draw_tuning(trials, "ndcg@10", one)
    draw_tuning(trials, "ndcg@10", other)
    assert one.read_bytes() == other.read_bytes()
    assert one.read_text().count('<g id="axes_') == panels


def test_a_kind_of_picture_that_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"should end in one of \.svg, \.png, \.pdf"):
        draw_tuning([trial(0, 0.1)], "ndcg@10", tmp_path / "tuning.gif")
