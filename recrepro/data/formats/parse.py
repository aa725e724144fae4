"""The content of interaction files taken apart: one name a format, one function a kind."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from recrepro.data.formats.columns import COLUMNS, match_columns
from recrepro.data.formats.convert import arrow_frame
from recrepro.data.formats.delimited import LAYOUTS, parse_delimited
from recrepro.data.formats.files import check_text
from recrepro.data.formats.jsonlines import parse_jsonlines
from recrepro.data.formats.lists import parse_adjacency, parse_citeulike, parse_netflix
from recrepro.errors import DataError, UnknownName, UsageError

FORMATS = {
    "csv": "comma, header line",
    "tsv": "tab, header line",
    "semicolon": "semicolon, header line",
    "parquet": "Parquet",
    "jsonl": "a JSON object a line",
    "recbole": "tab, typed header such as user_id:token (*.inter)",
    "ncf": "tab, no header: user, item, rating, time (*.rating, u.data)",
    "csv-no-header": "comma, no header: user, item, rating, time",
    "ssv": "blanks, no header: user, item, rating, time",
    "movielens": "'::', no header: user, item, rating, time (ratings.dat)",
    "adjacency": "blanks, no header: a user, then its items",
    "sequence": "blanks, no header: a user, then its items in the order of time",
    "citeulike": "blanks, line n is user n: how many items, then the items (users.dat)",
    "netflix": "'movie:' alone, then lines of user, rating, date (combined_data_1.txt)",
    "steam-purchases": "comma, no header: user, game, purchase or play, hours; the purchases",
    "steam-plays": "the same (steam-200k.csv); who played what, for how many hours",
}
"""Name of each format and what it is; every one may be packed by gzip or bzip2."""

_NAMED = {"csv", "tsv", "semicolon", "recbole", "parquet", "jsonl"}
"""The formats whose columns have names."""


def check_format(fmt: str, columns: Mapping[str, str], where: str) -> None:
    """Refuse a format that is unknown, and columns by name where the file has no names."""
    if fmt not in FORMATS:
        hint = "docs/data.md describes them: see 'Your own files'."
        raise UnknownName("file format", fmt, FORMATS, hint)
    if unknown := sorted(set(columns) - set(COLUMNS)):
        raise UnknownName("column in `columns`", unknown[0], COLUMNS)
    if columns and fmt not in _NAMED:
        given = ", ".join(f"{ours} = {theirs!r}" for ours, theirs in columns.items())
        raise UsageError(
            f"{where}: columns = {{ {given} }} names columns of a header line, and files of the "
            f"format {fmt!r} ({FORMATS[fmt]}) have none. Take 'columns' away, or say which of "
            f"{', '.join(map(repr, sorted(_NAMED)))} the file is."
        )


def parse_frame(
    raw: bytes,
    where: str,
    fmt: str,
    columns: Mapping[str, str] | None = None,
    *,
    allow_empty_users: bool = False,
) -> pd.DataFrame:
    """Do the work of `read_frame` on content that is already in memory.

    Parameters
    ----------
    raw : bytes
        The unpacked content.
    where : str
        What error messages call it.
    fmt, columns, allow_empty_users
        As in `read_frame`.
    """
    named = columns or {}
    check_format(fmt, named, where)
    if fmt == "parquet":
        return parse_parquet(pa.BufferReader(raw), where, named)
    if fmt == "jsonl":
        return parse_jsonlines(pa.BufferReader(raw), where, named)
    if fmt == "semicolon":
        raw = _from_latin1(raw)
    text = check_text(raw, where)
    if fmt in LAYOUTS:
        return parse_delimited(text, where, fmt, named)
    if fmt == "citeulike":
        return parse_citeulike(text, where, allow_empty_users=allow_empty_users)
    if fmt == "netflix":
        return parse_netflix(text, where)
    frame = parse_adjacency(text, where, allow_empty_users=allow_empty_users)
    if fmt == "sequence":
        # The order is all that is known: the n-th item of a user has the time n, from 0 on.
        frame["time"] = frame.groupby("user", sort=False).cumcount()
    return frame


def _from_latin1(raw: bytes) -> bytes:
    """Return UTF-8; exports with semicolons are often in Latin-1, which is hardly ever UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1").encode()
    return raw


def parse_parquet(stream: Any, where: str, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read the columns that are needed.

    Parameters
    ----------
    stream : file object
        The unpacked content; it can be read anywhere.
    where, columns
        As in `parse_frame`.
    """
    try:
        with parquet.ParquetFile(stream) as file:
            names, n_rows = file.schema_arrow.names, file.metadata.num_rows
            if not n_rows:
                raise DataError(f"{where} has no rows. Was the export interrupted?")
            chosen = match_columns(names, columns, where)
            # One column at a time: they need not be in memory together more than once.
            arrays = {ours: file.read([names[at]]).column(0) for ours, at in chosen.items()}
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().rstrip(".")
        raise DataError(f"{where} is not a whole Parquet file: {reason}.") from error
    return arrow_frame(arrays, where, lambda row: f"{where}, row {row + 1}")
