"""Finds the line of an experiment file that a message is about."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from recrepro.errors import RecreproError

if TYPE_CHECKING:
    from recrepro.spec.experiment import Experiment

_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_PATH = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_TABLE = re.compile(rf"\s*(?P<open>\[\[?)\s*(?P<path>{_PATH})\s*\]")
_KEY = re.compile(rf"\s*(?P<path>{_PATH})\s*=")


def line_of(text: str, location: Sequence[str | int]) -> int | None:
    """Return the line of a TOML file where a value, or the nearest table around it, begins.

    Parameters
    ----------
    text : str
        The file.
    location : sequence of str or int
        Keys and positions from the top of the file, such as ``("models", 1, "params", "l2")``.

    Returns
    -------
    int or None
        Counted from 1; None if the file has not even the first key.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    for place, number in _places(text):
        lines.setdefault(place, number)
    for length in range(len(location), 0, -1):
        if (line := lines.get(tuple(location[:length]))) is not None:
            return line
    return None


def _places(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Yield the location of each table and key that begins a line, and that line."""
    table: tuple[str | int, ...] = ()
    latest: dict[str, int] = {}  # position of the latest table in each array of tables
    in_text = False
    for number, line in enumerate(text.split("\n"), start=1):
        begins_in_text = in_text
        in_text ^= (line.count('"""') + line.count("'''")) % 2 == 1
        if begins_in_text:
            continue
        if header := _TABLE.match(line):
            first, *rest = _steps(header["path"])
            if header["open"] == "[[" and not rest:
                latest[first] = latest.get(first, -1) + 1
            table = (first, latest[first], *rest) if first in latest else (first, *rest)
            yield table, number
        elif key := _KEY.match(line):
            steps = _steps(key["path"])
            for length in range(1, len(steps) + 1):
                yield (*table, *steps[:length]), number


def _steps(path: str) -> list[str]:
    return [step.strip("\"'") for step in re.findall(_NAME, path)]


@contextmanager
def located(path: Path, experiment: "Experiment") -> Iterator[None]:
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


def place(path: Path, experiment: "Experiment", location: tuple[str | int, ...]) -> str:
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


def _positions(experiment: "Experiment", location: tuple[str | int, ...]) -> tuple[str | int, ...]:
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
