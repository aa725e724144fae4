"""Runs the checks on a model: one by one, all at once, or as tests of pytest."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from unittest import SkipTest

from recrepro.errors import blame, users_frame
from recrepro.model import Recommender

from .subject import CHECKS, Advice, ModelUnderTest, few_epochs

State = Literal["passed", "skipped", "note", "failed"]

QUICK_EPOCHS = 3
"""Epochs of the fits in which nothing has to be learned well."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check.

    Parameters
    ----------
    check : str
        Name of the check.
    state : {"passed", "skipped", "note", "failed"}
        "skipped" if the check does not apply, "note" for a finding that need not be a fault.
    reason : str
        Why it was skipped, or what is wrong and what to change.
    """

    check: str
    state: State
    reason: str = ""


def outcomes(subject: ModelUnderTest) -> Iterator[Outcome]:
    """Run all checks on a model, and yield each outcome as it is known.

    Parameters
    ----------
    subject : ModelUnderTest
        The model.
    """
    first: dict[str, str] = {}
    for name, check in CHECKS.items():
        state: State = "passed"
        reason = ""
        try:
            check(subject)
        except Advice as advice:
            state, reason = "note", str(advice)
        except SkipTest as why:
            yield Outcome(name, "skipped", str(why))
            continue
        except Exception as error:  # noqa: BLE001 - whatever a model raises is its failure
            state, reason = "failed", _reason(error)
        if first.setdefault(reason, name) != name and reason:
            reason = f"for the same reason as '{first[reason].replace('_', ' ')}'"
        yield Outcome(name, state, reason)


def _reason(error: Exception) -> str:
    """Say what went wrong: in the words of a check, or with the place in the user's code."""
    if users_frame(error) is not None:
        return f"{blame(error)}. Correct it there."
    return str(error) if isinstance(error, AssertionError) else blame(error)


def check_recommender(
    model: type[Recommender],
    *,
    quick: Mapping[str, Any] | None = None,
    learning: Mapping[str, Any] | None = None,
    not_personal: str = "",
    strict: bool = False,
) -> list[Outcome]:
    """Run all checks on a model class.

    Parameters
    ----------
    model, quick, learning, not_personal, strict
        As of `ModelUnderTest`. By default `quick` sets the number of epochs to 3.

    Returns
    -------
    list of Outcome
        What each check has found: passed, skipped with the reason, or a note.

    Raises
    ------
    AssertionError
        If any check fails; the message lists all that do.
    """
    found = list(outcomes(_subject(model, quick, learning, not_personal, strict=strict)))
    failed = [one for one in found if one.state == "failed"]
    if failed:
        listed = "\n\n".join(f"{one.check}: {one.reason}" for one in failed)
        raise AssertionError(
            f"{model.__name__} fails {len(failed)} of {len(found)} checks.\n\n{listed}"
        )
    return found


def contract_checks(
    model: type[Recommender],
    *,
    quick: Mapping[str, Any] | None = None,
    learning: Mapping[str, Any] | None = None,
    not_personal: str = "",
    strict: bool = False,
) -> list[Any]:
    """Return the checks of a model as parameters of a test, which has to call what it is given.

    ::

        @pytest.mark.parametrize("check", contract_checks(MyModel))
        def test_contract(check):
            check()

    Parameters
    ----------
    model, quick, learning, not_personal, strict
        As of `check_recommender`.

    Returns
    -------
    list of pytest.param
        One for each check. Skipped checks and notes are shown as skipped tests, with the reason.
    """
    import pytest

    subject = _subject(model, quick, learning, not_personal, strict=strict)
    return [
        pytest.param(functools.partial(check, subject), id=f"{model.__name__}-{name}")
        for name, check in CHECKS.items()
    ]


def _subject(
    model: type[Recommender],
    quick: Mapping[str, Any] | None,
    learning: Mapping[str, Any] | None,
    not_personal: str,
    *,
    strict: bool,
) -> ModelUnderTest:
    quick = few_epochs(model, QUICK_EPOCHS) if quick is None else quick
    return ModelUnderTest(model, quick, learning or {}, not_personal, strict)
