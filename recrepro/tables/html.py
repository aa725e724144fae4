"""Tables as a web page of its own."""

from importlib.resources import files

from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard, best_values
from recrepro.analysis.verdict import BoardVerdict
from recrepro.tables import verdicts as judgements
from recrepro.tables.cells import (
    heading,
    interval,
    is_best,
    legend,
    marks,
    number,
    status_text,
    verdict_cells,
)
from recrepro.text.templates import render

TOOLS = (best_values, heading, interval, is_best, legend, marks, number, status_text)
"""Functions that the template calls."""


def write(
    boards: list[Leaderboard], verdicts: list[ExpectationCheck], judged: list[BoardVerdict]
) -> str:
    """Write a page that needs no other file; the best value of each column is bold."""
    return render(
        files("recrepro.tables") / "leaderboard.html.j2",
        boards=boards,
        expected=[verdict_cells(one) for one in verdicts],
        judged=judgements.lines(judged),
        explanation=judgements.EXPLANATION,
        **{tool.__name__: tool for tool in TOOLS},
    )
