"""Verdicts in words, for terminals and pages, and as plain values."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from recrepro.analysis.comparison import ComparedBoard, ComparedModel
from recrepro.analysis.verdict import BoardVerdict, ModelVerdict, tally
from recrepro.tables.cells import p_text


def heading(board: BoardVerdict) -> str:
    """Return the question that a table's verdicts answer."""
    what = {
        "validation": f"the best tuned baseline, {board.baseline} (chosen on validation)",
        "test": f"the best baseline, {board.baseline} (not tuned; chosen on test)",
        None: "a baseline",
    }[board.chosen_by]
    return f"{board.dataset} · {board.split}: better than {what}, in {board.metric}?"


def times(ratio: float) -> str:
    """Write how many times as much something costs."""
    return f"{ratio:,.2g} times" if ratio < 10 else f"{ratio:,.0f} times"


def sentence(verdict: ModelVerdict) -> str:
    """Write a verdict as one line: answer, difference, effect, test, cost."""
    parts = [f"{verdict.model}: {verdict.answer}"]
    other = verdict.comparison
    if other is not None and verdict.p is not None:
        p = p_text(verdict.p)
        p = f"p {p}" if p.startswith("<") else f"p = {p}"
        bounds = f"{other.low:+.4f} to {other.high:+.4f}"
        parts.append(
            f"difference {other.difference:+.4f} ({bounds}), effect {other.effect:+.2f}, {p}"
        )
    costs = [
        what.format(times(ratio))
        for what, ratio in (
            ("fit {} as long", verdict.fit_ratio),
            ("tuning {} as long", verdict.tune_ratio),
            ("energy of the machine {} as much", verdict.energy_ratio),
        )
        if ratio is not None
    ]
    return "; ".join([*parts, *costs, *verdict.notes])


def lines(boards: Iterable[BoardVerdict]) -> list[str]:
    """Write the verdicts of all tables that have any, and how often each model was better."""
    judged = [board for board in boards if board.models]
    written = []
    for board in judged:
        written.append(heading(board))
        written += [f"  {sentence(verdict)}" for verdict in board.models]
        written += [f"  {note}" for note in board.notes]
    if len(judged) > 1:
        for model, counts in tally(judged).items():
            written.append(
                f"{model} is better than the baseline in {counts['yes']} of "
                f"{sum(counts.values())} tables, worse in {counts['no']}"
            )
    return written


EXPLANATION = (
    "Yes and no: paired randomisation test over users, two-sided, p < 0.05 after Holm's correction "
    "for the models judged in the table. Effect: mean difference over its standard deviation."
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
