"""Contract tests for recommenders: named checks, and one function that runs them all on a model.

    from recrepro.testing import check_model

    check_model(MyModel)

Every check is a function of a `ModelUnderTest`. It raises AssertionError if the model breaks the
contract, and `unittest.SkipTest`, which pytest understands, if the check does not apply. No test
framework is needed.
"""

from collections.abc import Mapping
from typing import Any
from unittest import SkipTest

from recrepro.model import Recommender

from . import behaviour, declarations  # noqa: F401 - they add their checks to CHECKS
from .subject import CHECKS, Check, ModelUnderTest
from .toys import interactions_from, toy_features, toy_interactions

__all__ = [
    "CHECKS",
    "Check",
    "ModelUnderTest",
    "check_model",
    "interactions_from",
    "toy_features",
    "toy_interactions",
]


def check_model(
    model: type[Recommender],
    *,
    quick: Mapping[str, Any] | None = None,
    learning: Mapping[str, Any] | None = None,
    not_personal: str = "",
) -> dict[str, str]:
    """Run all checks on a model class.

    Parameters
    ----------
    model, quick, learning, not_personal
        As of `ModelUnderTest`.

    Returns
    -------
    dict of str to str
        The checks that do not apply to the model, and why.

    Raises
    ------
    AssertionError
        If any check fails; the message lists all that do.
    """
    subject = ModelUnderTest(model, quick or {}, learning or {}, not_personal)
    skipped, failures = {}, []
    for name, check in CHECKS.items():
        try:
            check(subject)
        except SkipTest as reason:
            skipped[name] = str(reason)
        except Exception as error:  # noqa: BLE001 - whatever a model raises is its failure
            failures.append(f"{name}: {type(error).__name__}: {error}")
    if failures:
        listed = "\n\n".join(failures)
        raise AssertionError(
            f"{model.__name__} fails {len(failures)} of {len(CHECKS)} checks.\n\n{listed}"
        )
    return skipped
