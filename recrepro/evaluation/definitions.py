"""Whose formula: metric names, their variants, and what each of them computes.

A name is ``metric@cutoff``, or ``metric[variant]@cutoff`` where a publication computes another
formula under the same name.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from recrepro.errors import UnknownName, UsageError
from recrepro.evaluation import metrics
from recrepro.evaluation.metrics import PerUser, Ranking

LARGEST_CUTOFF = 1_000_000


@dataclass(frozen=True)
class Definition:
    """One formula under one name.

    Parameters
    ----------
    id : str
        ``ndcg`` or ``ndcg[recsys2019]``.
    function : callable
        From a `Ranking` and a cutoff to one value a user.
    formula : str
        The formula in one line; symbols as in `recrepro.evaluation.metrics`.
    same_in : str
        Who else computes exactly this.
    """

    id: str
    function: Callable[[Ranking, int], PerUser]
    formula: str
    same_in: str


DEFINITIONS: dict[str, Definition] = {
    d.id: d
    for d in (
        Definition(
            "ndcg",
            metrics.ndcg,
            "sum h_i/log2(i+1), over the same of min(k, R) hits in front",
            "RecBole, Cornac, RecPack, RePlay, irspack",
        ),
        Definition(
            "ndcg[recsys2019]",
            metrics.ndcg_uncut_ideal,
            "sum h_i/log2(i+1), over the same of all R hits in front",
            "the RecSys 2019 / TOIS 2021 study",
        ),
        Definition("recall", metrics.recall, "hits / R", "RecBole, Cornac, RecTools, irspack"),
        Definition("precision", metrics.precision, "hits / k", "most libraries"),
        Definition(
            "precision[recsys2019]",
            metrics.precision_of_listed,
            "hits / min(k, L)",
            "the RecSys 2019 / TOIS 2021 study",
        ),
        Definition("hit_rate", metrics.hit_rate, "1 if hits > 0 else 0", "most libraries"),
        Definition(
            "hit_rate[recsys2019]",
            metrics.hit_count,
            "hits (can exceed 1)",
            "the RecSys 2019 / TOIS 2021 study",
        ),
        Definition(
            "map",
            metrics.average_precision,
            "sum h_i * precision@i / min(k, R)",
            "RecBole, RePlay, WarpRec",
        ),
        Definition(
            "map[recsys2019]",
            metrics.average_precision_of_listed,
            "sum h_i * precision@i / min(R, k, L)",
            "the RecSys 2019 / TOIS 2021 study",
        ),
        Definition("mrr", metrics.reciprocal_rank, "1 / rank of the first hit", "most libraries"),
    )
}

_OTHER_NAMES = {"hr": "hit_rate", "hit": "hit_rate", "prec": "precision"}


@dataclass(frozen=True)
class Metric:
    """A definition at a cutoff."""

    definition: Definition
    k: int

    @property
    def name(self) -> str:
        """``ndcg@10``."""
        return f"{self.definition.id}@{self.k}"

    def __call__(self, ranking: Ranking) -> PerUser:
        """Compute one value a user."""
        return self.definition.function(ranking, self.k)


def parse_metric(name: str) -> Metric:
    """Read a metric name such as ``ndcg@10`` or ``ndcg[recsys2019]@10``.

    Raises
    ------
    UnknownName
        With the nearest names that are known.
    """
    match = re.fullmatch(r"([^@]+)@(0|[1-9][0-9]*)", name)
    if match is None:
        raise UsageError(
            f"the metric {name!r} has no cutoff: write it as {name.partition('@')[0]}@10."
        )
    identifier, cutoff = match[1], int(match[2])
    if identifier not in DEFINITIONS:
        meant = _OTHER_NAMES.get(identifier, _OTHER_NAMES.get(identifier.lower()))
        hint = f"It is called {meant!r} here." if meant else "List them: recrepro ls metrics."
        raise UnknownName("metric", identifier, DEFINITIONS, hint)
    if not 1 <= cutoff <= LARGEST_CUTOFF:
        raise UsageError(
            f"the cutoff of the metric {name!r} must lie between 1 and {LARGEST_CUTOFF:,}."
        )
    return Metric(DEFINITIONS[identifier], cutoff)
