"""Leaderboards, expected values and verdicts, written for people, papers and programs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recrepro.analysis.intervals import with_chance
from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard, build
from recrepro.analysis.verdict import BoardVerdict, judge, may_be_judged
from recrepro.spec.experiment import Experiment
from recrepro.store.results import Result
from recrepro.tables import data as plain
from recrepro.tables import html, latex, markdown

Contents = tuple[list[Leaderboard], list[ExpectationCheck], list[BoardVerdict]]
"""Tables, expected values, and verdicts on judged models."""

Writer = Callable[[list[Leaderboard], list[ExpectationCheck], list[BoardVerdict]], str]
"""From tables, expected values and verdicts (which may be empty) to a text."""


@dataclass(frozen=True)
class TableFormat:
    """A format of the tables.

    Parameters
    ----------
    write : Writer
        Makes the text.
    media_type : str
        MIME type, for the metadata of a snapshot.
    newline : bool
        If true, printing adds a newline to the text.
    """

    write: Writer
    media_type: str
    newline: bool = True


FORMATS = {
    "md": TableFormat(markdown.write, "text/markdown"),
    "csv": TableFormat(plain.write_csv, "text/csv", newline=False),
    "tex": TableFormat(latex.write, "application/x-tex"),
    "html": TableFormat(html.write, "text/html", newline=False),
    "json": TableFormat(plain.write_json, "application/json"),
}
"""Formats by file extension, which is also their name in `recrepro leaderboard --format`."""


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
    return (
        boards,
        expected,
        judge(results, experiment) if may_be_judged(metric) else [],
    )
