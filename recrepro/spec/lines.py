"""Finds the line of a TOML file where a value is."""

import re
from collections.abc import Iterator, Mapping, Sequence

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
    return line_in(line_numbers(text), location)


def line_numbers(text: str) -> dict[tuple[str | int, ...], int]:
    """Return the line of each table and key that begins a line of a TOML file."""
    lines: dict[tuple[str | int, ...], int] = {}
    for place, number in _places(text):
        lines.setdefault(place, number)
    return lines


def line_in(
    lines: Mapping[tuple[str | int, ...], int], location: Sequence[str | int]
) -> int | None:
    """Do the work of `line_of` with what `line_numbers` returns."""
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
