"""Leaderboards, expected values and verdicts, written for people, papers and programs."""

from collections.abc import Callable, Sequence

from recrepro.analysis.intervals import with_chance
from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard, build
from recrepro.analysis.verdict import BoardVerdict, judge, may_be_judged
from recrepro.spec.experiment import Experiment
from recrepro.store.results import Result
from recrepro.tables import data as plain
from recrepro.tables import html, latex, markdown

Contents = tuple[list[Leaderboard], list[ExpectationCheck], list[BoardVerdict]]
"""Tables, expected values, and verdicts on neural models."""

Writer = Callable[[list[Leaderboard], list[ExpectationCheck], list[BoardVerdict]], str]
"""From tables, expected values and verdicts (which may be empty) to a text."""

FORMATS: dict[str, Writer] = {
    "md": markdown.write,
    "csv": plain.write_csv,
    "tex": latex.write,
    "html": html.write,
    "json": plain.write_json,
}
"""By the ending of a file."""


def contents(
    experiment: Experiment,
    results: Sequence[Result],
    reference: str | None = None,
    *,
    intervals: bool = True,
) -> Contents:
    """Make all that the tables of an experiment show.

    Parameters
    ----------
    experiment : Experiment
        Says columns and expected values.
    results : sequence of Result
        Its cells.
    reference : str, optional
        A model that the others are compared with, beside the best of each column.
    intervals : bool
        Whether to compute what needs the values of users: intervals, tests and verdicts.
    """
    boards, expected = build(experiment, results)
    if not intervals:
        return boards, expected, []
    boards = with_chance(boards, results, reference)
    metric = experiment.selection_metric
    return boards, expected, judge(results, metric) if may_be_judged(metric) else []
