"""Text with a separator between the fields, with a header line or without."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recrepro.data.formats.columns import COLUMNS, match_columns
from recrepro.data.formats.convert import arrow_frame
from recrepro.data.formats.guess import MARKS, is_data, likely_format, mark_of, without_header
from recrepro.data.formats.rows import (
    Dialect,
    after_header,
    line_of,
    read_table,
    records,
    separated,
    wrong_line,
)
from recrepro.data.formats.times import EXACT, note_times
from recrepro.errors import DataError, UsageError

LAYOUTS = {
    "csv": Dialect(",", "commas", header=True, quoted=True),
    "tsv": Dialect("\t", "tabs", header=True, quoted=True),
    "semicolon": Dialect(";", "semicolons", header=True, quoted=True),
    "recbole": Dialect("\t", "tabs", header=True),
    "ncf": Dialect("\t", "tabs"),
    "csv-no-header": Dialect(",", "commas", quoted=True),
    "ssv": Dialect(" ", "blanks"),
    "movielens": Dialect("\x1f", "'::'"),
    "steam-purchases": Dialect(",", "commas", quoted=True),
    "steam-plays": Dialect(",", "commas", quoted=True),
    "yoochoose-clicks": Dialect(",", "commas"),
    "diginetica-views": Dialect(";", "semicolons", header=True),
}
"""The formats that are read here."""

_LABELS = pa.dictionary(pa.int32(), pa.string())
"""How labels are read: each distinct one once, and which of them a row has."""

_STEAM = {"steam-purchases": "purchase", "steam-plays": "play"}
"""What the third field says in the rows that are read."""


def parse_delimited(text: bytes, where: str, fmt: str, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read delimited text; parameters and result as in `parse_frame`."""
    layout = LAYOUTS[fmt]
    text = separated(text, layout)
    line, first = next(records(text, layout, where))
    chosen = _chosen(first, fmt, columns, where, line)
    start = after_header(text, line, where) if layout.header else 0
    names = [str(at) for at in range(len(first))]
    try:
        table = _read(text, start, fmt, names, chosen)
    except pa.ArrowInvalid as error:
        raise wrong_line(text, layout, where, len(first), error) from error
    n_rows = table.num_rows
    kept = np.arange(n_rows)
    if fmt in _STEAM:
        table, kept = _only(table, _STEAM[fmt], where)

    def locate(row: int) -> str:
        return f"{where}, line {line_of(text, layout, where, kept[row] - n_rows)}"

    arrays = {ours: table[names[at]] for ours, at in chosen.items()}
    frame = arrow_frame(arrays, where, locate)
    if fmt == "diginetica-views":
        # The date of a session, and milliseconds since it began.
        frame["time"] = frame["time"] * 1000 + frame.pop("value").astype(np.int64)
        note_times(frame, dates=True, decimals=3)
    if fmt == "ncf" and "time" in frame:
        # Rebuilt copies of NCF's files write 0 for a time that could not be recovered.
        times = frame["time"].astype("Int64")
        frame["time"] = times.mask(times == 0)
    return frame


def _read(
    text: bytes, start: int, fmt: str, names: list[str], chosen: Mapping[str, int]
) -> pa.Table:
    """Read labels as text, and the rest as numbers, or as text where it is something else.

    Times are exact numbers: whole ones, or decimals.
    """
    kinds = {names[at]: _LABELS for ours, at in chosen.items() if ours in {"user", "item"}}
    if fmt in _STEAM:
        kinds["2"] = pa.string()
    times = [pa.int64(), EXACT, pa.string()] if "time" in chosen else [pa.string()]
    if b"0x" in text or b"0X" in text:  # pyarrow takes 0x10 for 16, of integers only
        times = times[1:] or times
    for value, time in (*product((pa.float64(),), times), (pa.string(), pa.string())):
        others = {"value": value, "time": time}
        types = {names[at]: others[ours] for ours, at in chosen.items() if ours in others} | kinds
        try:
            return read_table(text, start, LAYOUTS[fmt], names, types)
        except pa.ArrowInvalid as error:  # dates or mistakes
            failed = error
    raise failed


def _only(table: pa.Table, what: str, where: str) -> "tuple[pa.Table, np.ndarray]":
    mask = pc.equal(table["2"], what)
    kept = np.flatnonzero(mask.to_numpy())
    if not len(kept):
        raise DataError(f"{where} has no row with {what!r} in the third field.")
    return table.filter(mask), kept


def _of_steam(fmt: str, first: list[str], place: str) -> dict[str, int]:
    if len(first) not in {4, 5}:
        raise DataError(
            f"{place}: {len(first)} fields where the format {fmt!r} has user, game, 'purchase' or "
            "'play', hours and a 0. Is it another format?"
        )
    return {"user": 0, "item": 1} | ({"value": 3} if fmt == "steam-plays" else {})


def _of_yoochoose(first: list[str], place: str) -> dict[str, int]:
    if len(first) != 4:
        raise DataError(
            f"{place}: {len(first)} fields where the format 'yoochoose-clicks' has session, time, "
            "item and category. Is it another format?"
        )
    return {"user": 0, "item": 2, "time": 1}


def _of_diginetica(first: list[str], place: str) -> dict[str, int]:
    """Find the columns; milliseconds since the session began are read as the value."""
    header = [name.replace("_", "").lower() for name in first]
    wanted = {"user": "sessionid", "item": "itemid", "value": "timeframe", "time": "eventdate"}
    if set(wanted.values()) - set(header):
        raise DataError(
            f"{place}: the format 'diginetica-views' has the columns sessionId, itemId, timeframe "
            f"and eventdate, and the header is {';'.join(first)[:60]!r}. Is it another format?"
        )
    return {ours: header.index(theirs) for ours, theirs in wanted.items()}


_OF_ONE_FILE: dict[str, Callable[[list[str], str], dict[str, int]]] = {
    **{fmt: partial(_of_steam, fmt) for fmt in _STEAM},
    "yoochoose-clicks": _of_yoochoose,
    "diginetica-views": _of_diginetica,
}
"""How the columns are found, by the first line, of formats that only one publisher uses."""


def _chosen(
    first: list[str], fmt: str, columns: Mapping[str, str], where: str, line: int
) -> dict[str, int]:
    """Find the position of each of our columns, by the first line or by the format."""
    if fmt in _OF_ONE_FILE:
        return _OF_ONE_FILE[fmt](first, f"{where}, line {line}")
    if not LAYOUTS[fmt].header:
        if not 2 <= len(first) <= 4:
            likely = likely_format(first[0]) if len(first) == 1 else None
            advice = "Is it another format?" if likely is None else f'Write format = "{likely}".'
            raise DataError(
                f"{where}, line {line}: the number of fields is {len(first)}, and the format "
                f"{fmt!r} has 2 to 4: user, item, rating, time, with {LAYOUTS[fmt].called} between "
                f"them. {advice}"
            )
        return {name: at for at, name in enumerate(list(COLUMNS)[: len(first)])}
    if len(first) == 1:
        _check_delimiter(first[0], fmt, f"{where}, line {line}")
    try:
        return match_columns(first, columns, where)
    except UsageError as error:
        if columns or len(first) == 1:
            raise
        raise UsageError(_no_header(first, fmt, where, line, str(error))) from error


def _no_header(first: list[str], fmt: str, where: str, line: int, problem: str) -> str:
    """Say what to write for a file whose first line lacks the columns and may be data."""
    mark = next(mark for mark in MARKS if mark.text == LAYOUTS[fmt].delimiter)
    if is_data(first):
        shown = mark.text.join(first)[:60]
        return (
            f"{where} has no header line, which the format {fmt!r} needs: line {line} is "
            f"{shown!r}. {without_header(first, mark)}"
        )
    if mark.bare is None or len(first) > 4:
        return problem
    return f'{problem} If line {line} is data and no header, write format = "{mark.bare}".'


def _check_delimiter(header: str, fmt: str, place: str) -> None:
    """Refuse a header of a single field that some other character would take apart."""
    wanted, mark = LAYOUTS[fmt].called, mark_of(header)
    fields = [] if mark is None else header.strip().split(mark.text)
    # A single column may be called by two words.
    if mark is None or (mark.text == " " and not is_data(fields)):
        return
    problem = f"{place}: the format {fmt!r} has {wanted} between the fields, not {mark.called}."
    if (likely := likely_format(header)) is not None:
        raise UsageError(f'{problem} Write format = "{likely}".')
    if mark.named is not None:
        raise UsageError(f'{problem} Write format = "{mark.named}". {without_header(fields, mark)}')
    raise DataError(f"{problem} Write the file with {wanted}.")
