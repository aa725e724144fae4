"""The contract of a recommender as named checks, for recrepro's own models and for yours.

    from recrepro.testing import check_recommender

    check_recommender(MyModel)

Every check is a function of a `ModelUnderTest`. It raises AssertionError if the model breaks the
contract, and `unittest.SkipTest`, which pytest understands, if the check does not apply. Findings
that need not be faults, such as a model that learns nothing from 30 users, raise `Advice`, which is
a SkipTest too; with ``strict=True`` they are failures. No test framework is needed;
`contract_checks` gives the checks to pytest.
"""

from . import behaviour, declarations  # noqa: F401 - they add their checks to CHECKS
from .outcomes import QUICK_EPOCHS, Outcome, check_recommender, contract_checks, outcomes
from .subject import (
    CHECKS,
    Advice,
    Check,
    ModelUnderTest,
    answer_stranger,
    few_epochs,
    input_arrays,
    uses_cuda,
)
from .toys import interactions_from, toy_features, toy_interactions

__all__ = [
    "CHECKS",
    "QUICK_EPOCHS",
    "Advice",
    "Check",
    "ModelUnderTest",
    "Outcome",
    "answer_stranger",
    "check_recommender",
    "contract_checks",
    "few_epochs",
    "input_arrays",
    "interactions_from",
    "outcomes",
    "toy_features",
    "toy_interactions",
    "uses_cuda",
]
