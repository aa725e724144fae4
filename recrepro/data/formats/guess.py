"""Guesses the format of a text file from its first line, to say in a message what to write."""

from collections.abc import Sequence
from dataclasses import dataclass

_EARLIEST_TIME = 1e8
"""A third field above this is no rating: as seconds since 1970, it is in 1973."""


@dataclass(frozen=True)
class Mark:
    """What stands between the fields of a line, and which formats read such files.

    Parameters
    ----------
    text : str
        The mark.
    called : str
        Its name in messages.
    named, bare : str or None
        The format of files with a header line, and of those without; None if there is none.
    """

    text: str
    called: str
    named: str | None
    bare: str | None


MARKS = (
    Mark("\t", "tabs", "tsv", "ncf"),
    Mark("::", "'::'", None, "movielens"),
    Mark(",", "commas", "csv", "csv-no-header"),
    Mark(";", "semicolons", "semicolon", None),
    Mark("|", "bars", None, None),
    Mark(" ", "blanks", None, "ssv"),
)
"""In the order in which they are looked for."""


def mark_of(line: str) -> Mark | None:
    """Return what divides a line into fields, or None if nothing does."""
    return next((mark for mark in MARKS if mark.text in line.strip()), None)


def is_data(fields: Sequence[str]) -> bool:
    """Say whether a line is data and no header: hardly any column is called by a number."""
    return any(_is_number(field) for field in fields)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def likely_format(line: str) -> str | None:
    """Return the format that reads a file with this first line, or None if none does."""
    mark = mark_of(line)
    if mark is None:
        return None
    fields = line.strip().split(mark.text)
    if not is_data(fields):
        return mark.named
    if len(fields) > 4:
        return "adjacency" if mark.text == " " else None
    return mark.bare


def without_header(fields: Sequence[str], mark: Mark) -> str:
    """Return what to write for a file whose first line, with these fields, is data."""
    between = mark.text if mark.text != "\t" else " <tab> "
    header = between.join(["user", "item", "rating", "time"])
    if mark.bare is None or not 2 <= len(fields) <= 4:
        return f"Put a header line above it that names the columns, such as: {header}"
    format_line = f'Write format = "{mark.bare}" for this data set: it reads user, item, '
    if len(fields) == 3 and _is_number(fields[2]) and float(fields[2]) > _EARLIEST_TIME:
        return (
            "Its third field looks like a time: put the header line "
            f"{between.join(['user', 'item', 'time'])!r} above it. ({format_line}rating.)"
        )
    return f"{format_line}rating and time in this order; the last two may be missing."
