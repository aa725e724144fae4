"""`recrepro check-model`: a line for each check, what to change, and the exit code."""

import pytest
from support.inprocess import call_here

from recrepro.testing import CHECKS

SOUND = """
def fit(train, rng):
    '''Count which items occur together.'''
    weights = (train.matrix.T @ train.matrix).toarray()
    return lambda users, histories: (histories @ weights).astype("float32")
"""
BROKEN = """
from recrepro.model import Recommender

class Mine(Recommender):
    def fit(self, train, rng):
        train.values[:] = 0
        self.weights = (train.matrix.T @ train.matrix).toarray()
        return self

    def score(self, users, histories):
        return {}["weights"]
"""


@pytest.fixture
def check(tmp_path):
    def check(text, *arguments):
        (tmp_path / "mine.py").write_text(text)
        done = call_here(["check-model", *arguments], tmp_path, {"COLUMNS": "80"})
        return done, done.stdout.splitlines()

    return check


def test_a_sound_function_passes_and_each_check_has_a_line(check):
    done, lines = check(SOUND, "mine.py:fit")
    assert done.returncode == 0, done.stderr
    checks = [line[9:].partition(":")[0] for line in lines[: len(CHECKS)]]
    assert checks == [name.replace("_", " ") for name in CHECKS]
    assert lines[-1] == "16 passed, 3 skipped, 0 notes, 0 failed."
    (pickled,) = (line for line in lines if "a pickled model" in line)
    assert pickled.startswith("skipped  a pickled model scores the same: fit was made from a func")


def test_a_broken_class_fails_with_cause_place_and_remedy(check, tmp_path):
    done, lines = check(BROKEN, "mine.py:Mine")
    assert done.returncode == 3
    first = lines[0]
    place = f"{tmp_path / 'mine.py'}:11, in score"
    assert first == (
        "FAILED   scores are an array with a row for each user: "
        f"KeyError: 'weights' ({place}). Correct it there."
    )
    assert done.stderr.startswith("error: mine.py:Mine fails ")
    assert "for the same reason as 'scores are an array with a row for each user'" in done.stdout


def test_notes_are_no_failures_unless_they_are_asked_for(check):
    done, lines = check("", "toppopular")
    assert done.returncode == 0
    notes = [line for line in lines if line.startswith("note ")]
    assert len(notes) == 3
    assert lines[-1] == "16 passed, 0 skipped, 3 notes, 0 failed."
    strict, lines = check("", "toppopular", "--strict")
    assert strict.returncode == 3
    assert lines[-1] == "16 passed, 0 skipped, 0 notes, 3 failed."


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("eas", "unknown model 'eas'. Did you mean 'ease'"),
        ("mine.py", "'mine.py' is not understood"),
        ("mine.py:fits", "unknown class or function 'fits'. Did you mean 'fit'?"),
        ("nowhere.thing:Model", "there is no module 'nowhere.thing'"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_of_usage(check, name, said):
    done, _ = check(SOUND, name)
    assert done.returncode == 2
    assert said in done.stderr
