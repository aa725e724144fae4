"""Verdicts in words, for terminals and pages, and as plain values."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from recrepro.analysis.comparison import ComparedBoard, ComparedModel
from recrepro.analysis.verdict import OUTCOMES, BoardVerdict, ModelVerdict, tally
from recrepro.tables.cells import p_text


def heading(board: BoardVerdict) -> str:
    """Return the question that a table's verdicts answer."""
    return (
        f"{board.dataset} · {board.split}: better than the best baseline that uses as much, in "
        f"{board.metric}?"
    )


def times(ratio: float) -> str:
    """Write how many times as much something costs."""
    return f"{ratio:,.2g} times" if ratio < 10 else f"{ratio:,.0f} times"


def against(verdict: ModelVerdict) -> str:
    """Name the baseline of a verdict, and how it was chosen."""
    if verdict.reference is None:
        return "no baseline"
    return f"{verdict.reference.model} (chosen on {verdict.reference.chosen_by})"


def sentence(verdict: ModelVerdict) -> str:
    """Write a verdict as one line: outcome, what is missing, difference, test, cost."""
    parts = [f"{verdict.model}: {verdict.outcome}", *verdict.missing]
    found = verdict.comparison
    if found is not None and verdict.p is not None:
        p = p_text(verdict.p)
        p = f"p {p}" if p.startswith("<") else f"p = {p}"
        parts.append(
            f"difference from {against(verdict)} {found.difference:+.4f} ({found.low:+.4f} to "
            f"{found.high:+.4f}), {p}"
        )
        if np.isfinite(found.estimate.detectable):
            parts.append(f"{found.estimate.detectable:.4f} would be found with 80 % power")
    clock = f" in {verdict.clock} seconds"
    costs = [
        what.format(times(ratio))
        for what, ratio in (
            (f"fit {{}} as long{clock}", verdict.fit_ratio),
            (f"tuning {{}} as long{clock}", verdict.tune_ratio),
            ("energy of the machine {} as much", verdict.energy_ratio),
        )
        if ratio is not None
    ]
    return "; ".join([*parts, *costs, *verdict.notes])


def in_tables(counts: dict[Any, int]) -> str:
    """Write how often each outcome was found, such as "better in 1 of 3 tables, worse in 2"."""
    n_tables = sum(counts.values())
    first = f"better in {counts['better']} of {n_tables} {'table' if n_tables == 1 else 'tables'}"
    others = [f"{outcome} in {counts[outcome]}" for outcome in OUTCOMES[1:] if counts[outcome]]
    return ", ".join([first, *others])


def lines(boards: Iterable[BoardVerdict]) -> list[str]:
    """Write the verdicts of all tables that have any, and how often each model was better."""
    judged = [board for board in boards if board.models]
    written = []
    for board in judged:
        written.append(heading(board))
        written += [f"  {sentence(verdict)}" for verdict in board.models]
        written += [f"  {note}" for note in board.notes]
    if len(judged) > 1:
        written += [f"{model} is {in_tables(counts)}" for model, counts in tally(judged).items()]
    return written


EXPLANATION = (
    "Better and worse: two-sided t test over users and seeds of the final fit, p < 0.05 after "
    "Holm's correction for the models judged in the table. Equivalent: two one-sided tests show, "
    "at the same level, that the difference is smaller than the margin."
)


def plain_boards(boards: Iterable[BoardVerdict | ComparedBoard]) -> list[dict[str, Any]]:
    """Return plain values, with the standard error of each difference and what follows from it.

    Null is what is infinite or not a number, as is the effect where the difference is the same for
    every user, and all that is said of the chance of one user.
    """
    written: list[dict[str, Any]] = []
    for board in boards:
        written.append(asdict(board))
        models: tuple[ModelVerdict | ComparedModel, ...] = board.models
        for model, row in zip(models, written[-1]["models"], strict=True):
            if model.comparison is not None:
                estimate = model.comparison.estimate
                row["comparison"]["error"] = estimate.error
                row["comparison"]["degrees"] = estimate.degrees
                row["comparison"]["detectable"] = estimate.detectable
    plain: list[dict[str, Any]] = _finite(written)
    return plain


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def as_json(boards: Iterable[BoardVerdict]) -> dict[str, Any]:
    """Return plain values, and how often each model was better."""
    judged = list(boards)
    return {"boards": plain_boards(judged), "counts": tally(judged)}


def to_json(boards: Iterable[BoardVerdict]) -> str:
    """Write everything, unrounded."""
    return json.dumps(as_json(boards), indent=1, allow_nan=False)
