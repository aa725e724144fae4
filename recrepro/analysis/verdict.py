"""Is a model better than the best tuned baseline, worse, equivalent, or is that not shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import numpy as np

from recrepro.analysis import evidence
from recrepro.analysis.inference import Inference
from recrepro.analysis.leaderboard import comparable
from recrepro.analysis.per_user import by_model
from recrepro.analysis.significance import Comparison, PairedTests, holm
from recrepro.errors import UsageError
from recrepro.evaluation.definitions import parse_metric
from recrepro.models import Role, default_role
from recrepro.store.records import Record
from recrepro.store.results import Result

Outcome = Literal["better", "worse", "equivalent", "not enough evidence"]
OUTCOMES: tuple[Outcome, ...] = ("better", "worse", "equivalent", "not enough evidence")

LEVEL = 0.05
"""Corrected p-values below this count as shown."""


@dataclass(frozen=True)
class Reference:
    """The baseline that a model is compared with.

    Parameters
    ----------
    model : str
        Title.
    chosen_by : {"validation", "test"}
        How it was chosen among the baselines that use at least what the model uses. By its value
        on validation, so that the choice does not favour it; on test only where none was tuned.
    value : float
        The value by which it was chosen.
    """

    model: str
    chosen_by: Literal["validation", "test"]
    value: float


@dataclass(frozen=True)
class ModelVerdict:
    """A judged model, compared with a baseline of its table.

    Parameters
    ----------
    model : str
        Title.
    family : str
        Where it is from: simple, neural, custom or external.
    outcome : {"better", "worse", "equivalent", "not enough evidence"}
        What is shown. Equivalent: the difference is shown to be smaller than the margin.
    missing : tuple of str
        Why there is not enough evidence, whatever the values are. Empty if all that a verdict
        needs is there; the outcome then depends on the values alone.
    reference : Reference or None
        The baseline; None if no baseline uses what the model uses.
    users : int
        Those that it shares with the baseline.
    comparison : Comparison or None
        Model less baseline, over users. None if they share no users.
    inference : Inference or None
        The difference with its standard error over users and seeds, and what follows from it.
    p : float or None
        P-value of no difference, corrected by Holm for the models that are judged in this table.
    p_equivalent : float or None
        P-value of a difference of at least the margin, corrected likewise.
    fit_ratio, tune_ratio : float or None
        Seconds that its final fit, and its tuning, took, for each second of the baseline's; None
        if one of the two is not known or 0.
    energy_ratio : float or None
        The same of the joules that the machine took in the whole cell.
    notes : tuple of str
        What a reader has to know.
    """

    model: str
    family: str
    outcome: Outcome
    missing: tuple[str, ...]
    reference: Reference | None = None
    users: int = 0
    comparison: Comparison | None = None
    inference: Inference | None = None
    p: float | None = None
    p_equivalent: float | None = None
    fit_ratio: float | None = None
    tune_ratio: float | None = None
    energy_ratio: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BoardVerdict:
    """The verdicts of one table: a data set, a split and a protocol.

    Parameters
    ----------
    dataset, split : str
        Titles.
    protocol : str or None
        Fingerprint, as on leaderboards.
    metric : str
        What was compared.
    margin : float
        The smallest effect of interest, as a share of the baseline's value.
    models : tuple of ModelVerdict
        In the order of the experiment; empty if the table has no model that is judged.
    notes : tuple of str
        What a reader has to know.
    """

    dataset: str
    split: str
    protocol: str | None
    metric: str
    margin: float
    models: tuple[ModelVerdict, ...]
    notes: tuple[str, ...] = ()
