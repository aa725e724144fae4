"""`recrepro report`: everything about an experiment on one page that needs no other file."""

from collections.abc import Sequence
from pathlib import Path

from recrepro.durable import new_file
from recrepro.errors import RecreproError
from recrepro.report.page import render
from recrepro.spec.experiment import Experiment
from recrepro.store.results import Result

__all__ = ["render", "write_report"]


def write_report(
    experiment: Experiment, results: Sequence[Result], path: Path, *, source: str
) -> None:
    """Write the page of an experiment.

    Parameters
    ----------
    experiment : Experiment
        Says claim, columns and expected values.
    results : sequence of Result
        Its cells, wherever they come from.
    path : Path
        The file; there is the whole page, or what was there before.
    source : str
        The experiment file, which can be downloaded from the page.

    Raises
    ------
    RecreproError
        If the file cannot be written.
    """
    page = render(experiment, results, source)
    try:
        with new_file(path) as draft:
            draft.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RecreproError(
            f"cannot write the report to {path}: {error}. Choose another file with --output."
        ) from error
