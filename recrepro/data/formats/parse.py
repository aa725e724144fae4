"""The content of interaction files taken apart: one name a format, one function a kind."""

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from recrepro.compute.memory import available_bytes, require_memory
from recrepro.data.formats.columns import COLUMNS, match_columns
from recrepro.data.formats.convert import arrow_frame
from recrepro.data.formats.delimited import LAYOUTS, parse_delimited
from recrepro.data.formats.files import RATIO, SPAN, check_text
from recrepro.data.formats.jsonlines import parse_jsonlines
from recrepro.data.formats.lists import parse_adjacency, parse_citeulike, parse_netflix
from recrepro.errors import DataError, UnknownName, UsageError, first_line
from recrepro.text.words import size

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
    "yoochoose-clicks": "comma, no header: session, time, item, category (yoochoose-clicks.dat)",
    "diginetica-views": "semicolon, header line: sessions and milliseconds (train-item-views.csv)",
}
"""Name of each format and what it is; every one may be packed by gzip or bzip2."""

MOST_ROWS_A_BYTE = 8
"""Rows of a Parquet file for each of its bytes: a row of ratings takes more than a bit."""
BYTES_A_ROW = 32
"""Memory that a row takes at least: user, item, value and time."""

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


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


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
            chosen = match_columns(file.schema_arrow.names, columns, where)
            check_footer(file.metadata, stream.seek(0, io.SEEK_END), where)
            names = {ours: file.schema_arrow.names[at] for ours, at in chosen.items()}
            texts = {field.name for field in file.schema_arrow if _is_text(field.type)}
        # Labels are read once each, as in text: a file of 2 MB could hold 10 GB of repeated ones.
        labels = [name for name in (names["user"], names["item"]) if name in texts]
        with parquet.ParquetFile(stream, read_dictionary=labels) as file:
            # One column at a time: they need not be in memory together more than once.
            arrays = {ours: file.read([name]).column(0) for ours, name in names.items()}
    except MemoryError as error:  # one of Arrow's, too
        raise DataError(
            f"{where} does not fit in memory, of which {size(available_bytes())} are available "
            f"({first_line(error)}). Take a part of it, or a larger machine."
        ) from error
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().rstrip(".")
        raise DataError(f"{where} is not a whole Parquet file: {reason}.") from error
    return arrow_frame(arrays, where, lambda row: f"{where}, row {row + 1}")


def check_footer(footer: Any, n_bytes: int, where: str) -> None:
    """Refuse a file without rows, and one whose footer promises more than any data would be.

    Parameters
    ----------
    footer : pyarrow.parquet.FileMetaData
        Says what is in the file.
    n_bytes : int
        Size of the file.
    where : str
        What error messages call it.
    """
    groups = [footer.row_group(at) for at in range(footer.num_row_groups)]
    n_rows = max(footer.num_rows, sum(group.num_rows for group in groups))
    unpacked = sum(group.total_byte_size for group in groups)
    if not footer.num_rows:
        raise DataError(f"{where} has no rows. Was the export interrupted?")
    if n_rows > max(SPAN, MOST_ROWS_A_BYTE * n_bytes) or unpacked > max(SPAN, RATIO * n_bytes):
        raise DataError(
            f"{where} has {size(n_bytes)} and promises {n_rows:,} rows, or {size(unpacked)}. No "
            f"file of ratings has more than {MOST_ROWS_A_BYTE} rows a byte, or unpacks to more "
            f"than {RATIO} times its size. Export it again."
        )
    needed = BYTES_A_ROW * n_rows
    require_memory(f"to read the {n_rows:,} rows of {where}", needed, "Take a part.", DataError)
