"""Calls that are given up: by time, and by how far they get."""

import threading

import pytest

from recrepro.compute.patience import GivenUp, call_patiently


def test_a_call_that_ends_in_time_gives_its_answer_or_its_error():
    assert call_patiently(lambda: 7, 60) == 7
    with pytest.raises(KeyboardInterrupt):
        call_patiently(_interrupted, 60)


def _interrupted():
    raise KeyboardInterrupt


def test_a_call_that_does_not_end_is_given_up():
    over = threading.Event()
    with pytest.raises(GivenUp):
        call_patiently(over.wait, 0.01)
    over.set()


@pytest.mark.parametrize(("steps", "ends"), [([0, 5, 10, 15], True), ([0, 5, 9, 14], False)])
def test_a_call_that_gets_on_is_waited_for_however_long_it_takes(steps, ends):
    over, left = threading.Event(), list(steps)

    def progress():
        reached = left.pop(0)
        if not left:
            over.set()
        return reached

    if ends:
        assert call_patiently(over.wait, 0.01, progress, least=5)
        return
    with pytest.raises(GivenUp):
        call_patiently(over.wait, 0.01, progress, least=5)
    over.set()
