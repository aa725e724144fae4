"""Puts file and line before messages about an experiment."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recrepro.errors import RecreproError
from recrepro.spec.experiment import Experiment
from recrepro.spec.lines import line_of


@contextmanager
def located(path: Path, experiment: Experiment) -> Iterator[None]:
    """Put file and line before the messages of errors that come from a place in an experiment.

    Parameters
    ----------
    path : Path
        The file.
    experiment : Experiment
        The experiment as read from it.
    """
    try:
        yield
    except RecreproError as error:
        if error.location:
            error.args = (f"{place(path, experiment, error.location)}: {error}",)
            error.location = ()
        raise


def place(path: Path, experiment: Experiment, location: tuple[str | int, ...]) -> str:
    """Return the file and the line of a place in an experiment: ``e.toml, line 9``.

    Parameters
    ----------
    path : Path
        The file.
    experiment : Experiment
        The experiment as read from it.
    location : tuple of str or int
        As in `RecreproError.location`.
    """
    line = line_of(path.read_text(encoding="utf-8"), _positions(experiment, location))
    return f"{path}, line {line}" if line else str(path)


def _positions(experiment: Experiment, location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Replace the title of a data set, split or model by its position in the file."""
    titles = {
        "datasets": [dataset.name for dataset in experiment.datasets],
        "splits": [split.title for split in experiment.splits],
        "models": [model.title for model in experiment.models],
    }
    kind, *rest = location
    if kind not in titles or not rest:
        return location
    return (kind, titles[kind].index(str(rest[0])), *rest[1:])
