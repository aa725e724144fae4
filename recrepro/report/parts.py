"""What the page is made of: sections with tables and charts, as plain data."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from recrepro.tables.cells import p_text


@dataclass(frozen=True)
class TableCell:
    """A cell of a table.

    Parameters
    ----------
    text : str
        What is read.
    sort : float or None
        What the column is sorted by; the text if None.
    below : str
        A second line, smaller.
    badges : tuple of (str, str)
        Kind (good, bad, warn or plain) and word.
    strong : bool
        Whether it stands out.
    """

    text: str
    sort: float | None = None
    below: str = ""
    badges: tuple[tuple[str, str], ...] = ()
    strong: bool = False


@dataclass(frozen=True)
class Column:
    """The head of a column; `numeric` ones are set to the right."""

    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first cell of each row names the row.

    Parameters
    ----------
    id : str
        Unique on the page.
    caption : str
        What it shows.
    columns : tuple of Column
        Heads.
    rows : tuple of tuple of TableCell
        As many cells as columns.
    notes : tuple of str
        Sentences below it.
    tools : bool
        Whether it can be sorted and filtered.
    folded : str
        What it lies behind until it is opened; open if empty.
    """

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    notes: tuple[str, ...] = ()
    tools: bool = False
    folded: str = ""

    @property
    def filled(self) -> tuple[int, ...]:
        """Places of the columns that hold anything."""
        return tuple(
            place
            for place in range(len(self.columns))
            if any(row[place].text or row[place].badges for row in self.rows)
        )


@dataclass(frozen=True)
class Chart:
    """A drawing, what it is called, and the table with its numbers."""

    title: str
    svg: Markup
    table: Table | None = None
    small: bool = False


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, tables, charts and sections below it."""

    id: str
    title: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[Table | Chart, ...] = ()
    parts: tuple["Section", ...] = ()
    badges: tuple[tuple[str, str], ...] = ()


def columns(words: Iterable[str], numbers: Iterable[str] = ()) -> tuple[Column, ...]:
    """Return columns of words, then columns of numbers."""
    return (*(Column(name) for name in words), *(Column(name, numeric=True) for name in numbers))


def number(value: float | None, form: str = ".4f") -> TableCell:
    """Return a number as a cell; a dash if there is none, or it is not one."""
    if value is None or math.isnan(value):
        return TableCell("-")
    return TableCell(f"{value:{form}}", float(value))


def p_value(p: float | None) -> TableCell:
    """Return a p-value as a cell."""
    return TableCell("-") if p is None else TableCell(p_text(p), p)


def seconds(value: float | None) -> TableCell:
    """Return a duration as a cell, in the unit that reads best."""
    if value is None:
        return TableCell("-")
    for unit, size in (("h", 3600), ("min", 60)):
        if value >= 2 * size:
            return TableCell(f"{value / size:.1f} {unit}", value)
    return TableCell(f"{value:.3g} s", value)


def moment(value: float) -> str:
    """Return a time, given in seconds since 1970, as people read it."""
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M UTC")
