"""Whose formula: metric names, their variants, and what each of them computes.

A name is ``metric@cutoff``, or ``metric[variant]@cutoff`` where others compute another formula
under the same name. A metric of the whole ranking has no cutoff: ``auc``.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recrepro.errors import UnknownName, UsageError, nearest_names
from recrepro.evaluation import beyond_accuracy as beyond
from recrepro.evaluation import corrected, metrics
from recrepro.evaluation.metrics import PerUser, Ranking

LARGEST_CUTOFF = 1_000_000

Kind = Literal["accuracy", "corrected", "lists"]
"""How well held-out items are found; an estimate of that from sampled ranking; or what the lists
are made of."""

KINDS: dict[Kind, str] = {
    "accuracy": "Accuracy: how well held-out items are found",
    "lists": "Of the lists themselves, however good they are",
    "corrected": "Full ranking, estimated from sampled ranking with one held-out item a user",
}
"""Each kind in words."""

SYMBOLS = (
    "h_i: the item at rank i is relevant; R: relevant (held-out) items of the user; k: cutoff; "
    "L: length of the list; hits: relevant items in it; n_i: lists with item i, p_i: their share; "
    "c_i: train interactions of item i; n: all items; s: sampled rank; m: sampled negatives"
)

STUDY = "Ferrari Dacrema et al. (RecSys 2019, TOIS 2021)"


Formula = Callable[[Ranking, Any], PerUser | float]
"""From a ranking and a cutoff (None where there is none) to one value a user, or one for all."""


@dataclass(frozen=True)
class Definition:
    """One formula under one name.

    Parameters
    ----------
    id : str
        ``ndcg`` or ``ndcg[recsys2019]``.
    function : callable
        From a `Ranking` and a cutoff to one value a user, or to one value for all.
    formula : str
        The formula in one line; symbols as in the module of the function.
    same_in : str
        Who else computes exactly this.
    kind : {"accuracy", "corrected", "lists"}
        What it measures. Only accuracy can be tuned for.
    cut : bool
        Whether it has a cutoff.
    needs_features : bool
        Whether it needs features of the items.
    """

    id: str
    function: Formula
    formula: str
    same_in: str = ""
    kind: Kind = "accuracy"
    cut: bool = True
    needs_features: bool = False

    @property
    def pattern(self) -> str:
        """How the metric is written: ``ndcg@k``, or ``auc``."""
        return f"{self.id}@k" if self.cut else self.id

    @property
    def explanation(self) -> str:
        """The docstring of its function, without indentation."""
        function = self.function.func if isinstance(self.function, partial) else self.function
        return inspect.getdoc(function) or ""


def _accuracy() -> list[Definition]:
    m = metrics
    ideal = "sum h_i/log2(i+1), over the same of "
    rbp = "(1-p) sum h_i p^(i-1), "
    at_hits = "sum h_i * precision@i"
    return [
        Definition(
            "ndcg",
            m.ndcg,
            f"{ideal}min(k, R) hits in front",
            "RecBole, Cornac, RecPack, RePlay, irspack, ranx, ir_measures, OmniRec (1.1)",
        ),
        Definition(
            "ndcg[recsys2019]", m.ndcg_uncut_ideal, f"{ideal}all R hits in front, not cut", STUDY
        ),
        Definition(
            "ndcg[rectools]",
            m.ndcg_full_ideal,
            f"{ideal}k hits in front, even if R < k",
            "RecTools (its default), OmniRec (0.1)",
        ),
        Definition(
            "ndcg[daisyrec]",
            m.ndcg_of_retrieved,
            f"{ideal}the hits found, in front",
            "DaisyRec, NGCF",
        ),
        Definition(
            "ndcg[lenskit]",
            m.ndcg_flat_start,
            "as ndcg, with log2(max(i, 2)) for log2(i+1)",
            "LensKit (its default up to 2026.4)",
        ),
        Definition(
            "ndcg[linear]",
            m.ndcg_linear_gain,
            "as ndcg, with the value of the interaction for h_i",
            "trec_eval, ranx (ndcg)",
        ),
        Definition(
            "ndcg[exponential]",
            m.ndcg_exponential_gain,
            "as ndcg, with 2^value - 1 for h_i",
            "ranx (ndcg_burges)",
        ),
        Definition("recall", m.recall, "hits / R", "RecBole, Cornac, RecTools, irspack, ranx"),
        Definition(
            "recall[capped]",
            m.recall_capped,
            "hits / min(k, R)",
            "OmniRec, RecPack (CalibratedRecall), the Mult-VAE paper",
        ),
        Definition("precision", m.precision, "hits / k", "most libraries"),
        Definition("precision[recsys2019]", m.precision_of_listed, "hits / L", STUDY),
        Definition("f1", m.f1, "2 hits / (k + R)", "ranx"),
        Definition(
            "f1[recsys2019]",
            m.f1_of_means,
            "2PQ / (P+Q), P the mean of hits/L, Q the mean of hits/R",
            STUDY,
        ),
        Definition("hit_rate", m.hit_rate, "1 if hits > 0 else 0", "most libraries"),
        Definition("hit_rate[recsys2019]", m.hit_count, "hits (can exceed 1)", STUDY),
        Definition(
            "map",
            m.average_precision,
            f"{at_hits} / min(k, R)",
            "RecBole, RePlay, WarpRec, recommenders (map_at_k)",
        ),
        Definition(
            "map[recsys2019]",
            m.average_precision_of_listed,
            f"{at_hits} / min(R, L)",
            f"{STUDY}, LensKit",
        ),
        Definition(
            "map[irspack]",
            m.average_precision_of_all,
            f"{at_hits} / R",
            "irspack, ranx, trec_eval",
        ),
        Definition("map[daisyrec]", m.average_precision_of_hits, f"{at_hits} / hits", "DaisyRec"),
        Definition(
            "map[cornac]",
            m.average_precision_of_all,
            f"{at_hits} / R over the whole ranking",
            "Cornac",
            cut=False,
        ),
        Definition(
            "mrr", m.reciprocal_rank, "1 / rank of the first hit, 0 if none", "most libraries"
        ),
        Definition(
            "arhr", m.reciprocal_ranks, "sum h_i / i (can exceed 1)", f"{STUDY}, DaisyRec (as MRR)"
        ),
        Definition("rbp", partial(m.rank_biased_precision, 0.8), f"{rbp}p = 0.8", "ranx (rbp.80)"),
        Definition(
            "rbp[lenskit]",
            partial(m.rank_biased_precision, 0.85),
            f"{rbp}p = 0.85",
            "LensKit (default)",
        ),
        Definition(
            "r_precision", m.r_precision, "hits among the first R / R", "trec_eval, ranx", cut=False
        ),
        Definition(
            "auc",
            m.auc,
            "P(a random relevant item is in front of a random other one)",
            "Cornac, RecBole (GAUC)",
            cut=False,
        ),
    ]


def _corrected() -> list[Definition]:
    found = []
    for name, at_rank in (
        ("hit_rate", corrected.hit_at),
        ("recall", corrected.hit_at),
        ("ndcg", corrected.ndcg_at),
        ("mrr", corrected.reciprocal_rank_at),
        ("map", corrected.reciprocal_rank_at),
    ):
        for variant, function, how in (
            ("rank", partial(corrected.by_rank, at_rank), "at the rank 1 + (s - 1)(n - 1)/m"),
            ("cls", partial(corrected.by_least_squares, at_rank), "least bias, falling with s"),
            ("bv", partial(corrected.by_bias_and_variance, at_rank), "least bias^2 + 0.1 variance"),
        ):
            found.append(
                Definition(
                    f"{name}[{variant}]",
                    function,
                    f"full {name} from sampled rank s: {how}",
                    "Krichene & Rendle (KDD 2020)",
                    kind="corrected",
                )
            )
    return found


def _of_lists() -> list[Definition]:
    rows: list[tuple[str, Formula, str, str]] = [
        ("coverage", beyond.item_coverage, "share of items in at least one list", "RecBole"),
        (
            "gini",
            beyond.gini,
            "sum (2j - n - 1) p_j / n, items ascending; 0 is even",
            "RecBole (GiniIndex)",
        ),
        (
            "gini[recsys2019]",
            beyond.gini_diversity,
            "2 sum (n+1-j)/(n+1) p_j, items ascending; 1 is even",
            STUDY,
        ),
        ("entropy", beyond.shannon_entropy, "-sum p_i log2 p_i", STUDY),
        ("herfindahl", beyond.herfindahl, "1 - sum p_i^2", STUDY),
        ("mil", beyond.inter_list_diversity, "1 - mean of |L_u and L_v| / k over pairs", STUDY),
        ("ild", beyond.intra_list_diversity, "mean of 1 - cosine of pairs, by train users", ""),
        (
            "ild[features]",
            beyond.intra_list_diversity_of_features,
            "mean of 1 - cosine of pairs, by item features",
            "",
        ),
        (
            "novelty",
            beyond.novelty,
            "mean of -log2(c_i / train users)",
            "RecTools",
        ),
        (
            "novelty[recsys2019]",
            beyond.novelty_over_items,
            "sum of -log2(c_i / interactions) / all items",
            STUDY,
        ),
        ("arp", beyond.average_popularity, "mean c_i", "RecBole, Elliot"),
        ("arp[recsys2019]", beyond.relative_popularity, "mean c_i / max c", STUDY),
        ("aplt", beyond.long_tail_share, "share of items that are not in the head", ""),
    ]
    return [
        Definition(
            name, function, formula, same, kind="lists", needs_features=name.endswith("[features]")
        )
        for name, function, formula, same in rows
    ]


DEFINITIONS: dict[str, Definition] = {d.id: d for d in (*_accuracy(), *_corrected(), *_of_lists())}

_OTHER_NAMES = {
    "hr": "hit_rate",
    "hit": "hit_rate",
    "prec": "precision",
    "rr": "mrr",
    "ap": "map",
    "rprec": "r_precision",
    "item_coverage": "coverage",
    "shannon": "entropy",
}


@dataclass(frozen=True)
class Metric:
    """A definition at a cutoff, or one without a cutoff."""

    definition: Definition
    k: int | None

    @property
    def name(self) -> str:
        """``ndcg@10``, or ``auc``."""
        return self.definition.id if self.k is None else f"{self.definition.id}@{self.k}"

    def __call__(self, ranking: Ranking) -> NDArray[np.float64] | float:
        """Compute one value a user, or one for all."""
        return self.definition.function(ranking, self.k)


def find_definition(identifier: str, cutoff: str = "") -> Definition:
    """Return a definition by its id, or suggest names, with what was given as their cutoff."""
    if identifier not in DEFINITIONS:
        # Variants are suggested to those only who write one.
        similar = [name for name in DEFINITIONS if "[" in identifier or "[" not in name]
        meant = _OTHER_NAMES.get(identifier.lower())
        near = [meant] if meant else nearest_names(identifier, similar)
        suggested = [name + cutoff if DEFINITIONS[name].cut else name for name in near]
        hint = "List them with their formulas: recrepro ls metrics."
        raise UnknownName("metric", identifier + cutoff, DEFINITIONS, hint, suggested)
    return DEFINITIONS[identifier]


def parse_metric(name: str) -> Metric:
    """Read a metric name such as ``ndcg@10``, ``ndcg[recsys2019]@10`` or ``auc``.

    Raises
    ------
    UnknownName
        With the nearest names that are known.
    UsageError
        If the cutoff is missing, or is not one.
    """
    identifier, at, cutoff = name.partition("@")
    definition = find_definition(identifier, at + cutoff)
    if not definition.cut:
        if at:
            raise UsageError(
                f"the metric {name!r} is one of the whole ranking, without a cutoff: write it as "
                f"{identifier}."
            )
        return Metric(definition, None)
    if not cutoff.isdecimal() or not cutoff.isascii() or str(int(cutoff)) != cutoff:
        raise UsageError(f"the metric {name!r} has no cutoff: write it as {identifier}@10.")
    if not 1 <= int(cutoff) <= LARGEST_CUTOFF:
        raise UsageError(
            f"the cutoff of the metric {name!r} must lie between 1 and {LARGEST_CUTOFF:,}: write "
            f"it as {identifier}@10, for example."
        )
    return Metric(definition, int(cutoff))
