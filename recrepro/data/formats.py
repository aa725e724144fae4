"""Interaction files in the formats that papers and libraries publish, read into data frames."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from recrepro.errors import DataError, UnknownName, UsageError

FORMATS = {
    "csv": "comma, header line",
    "tsv": "tab, header line",
    "parquet": "Parquet",
    "ncf": "tab, no header: user, item, rating, time (*.rating, u.data)",
    "movielens": "'::', no header: user, item, rating, time (ratings.dat)",
    "recbole": "tab, typed header such as user_id:token (*.inter)",
    "adjacency": "blanks, no header: a user, then its items",
}
"""Name of each format and what it is; every one may be gzipped."""

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".rating": "ncf",
    ".data": "ncf",
    ".inter": "recbole",
}
_DELIMITERS = {"csv": ",", "tsv": "\t", "recbole": "\t", "ncf": "\t", "movielens": "\x1f"}
_COLUMNS = {
    "user": ("user", "userid", "uid", "visitorid", "reviewerid"),
    "item": ("item", "itemid", "iid", "movieid", "artistid", "productid", "gameid", "asin"),
    "value": ("value", "rating", "stars", "weight", "count"),
    "time": ("time", "timestamp", "datetime", "date", "unixreviewtime"),
}


def guess_format(name: str) -> str | None:
    """Return the format that a file name tells, or None where its ending is used by several."""
    return _SUFFIXES.get(Path(name.removesuffix(".gz")).suffix.lower())


def read_frame(
    path: Path,
    format: str | None = None,  # noqa: A002  # the word that experiment files use
    columns: Mapping[str, str] | None = None,
    *,
    allow_empty_users: bool = False,
) -> pd.DataFrame:
    """Read a file of interactions.

    Parameters
    ----------
    path : Path
        The file, gzipped or not.
    format : str, optional
        A name of `FORMATS`; by default what the file's ending tells.
    columns : mapping of str to str, optional
        Our names (user, item, value, time) to the file's; the usual names need no mapping.
    allow_empty_users : bool
        Whether a line of an adjacency file may hold a user and no item.

    Returns
    -------
    pandas.DataFrame
        Columns user and item (text, unless Parquet stores integers) and, where the file has
        them, value and time (float; seconds where the file holds dates, NaN where it is empty).

    Raises
    ------
    UsageError
        If the file is not there, or its format is neither given nor told by its ending.
    DataError
        If the content is not of the format; the message names the file and the line.
    """
    raw = read_bytes(path)
    chosen = format or guess_format(path.name)
    if chosen is None:
        raise UsageError(
            f"the ending of {path.name!r} does not tell its format. Say format = one of: "
            + "; ".join(f"{name!r} ({what})" for name, what in FORMATS.items())
            + "."
        )
    return parse_frame(raw, str(path), chosen, columns, allow_empty_users=allow_empty_users)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked if it is gzipped."""
    if path.is_dir() or not path.exists():
        folder = path if path.is_dir() else path.parent
        present = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        near = get_close_matches(path.name, present, n=3, cutoff=0.5) or present[:5]
        raise UsageError(
            f"{path} is {'a folder, not a file' if path.is_dir() else 'not there'}. "
            + (f"{folder} holds {', '.join(near)}." if near else f"{folder} holds no file.")
        )
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if not path.name.endswith(".gz") and raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{path} is not a whole gzip file ({error}). Fetch it again, or drop the .gz from "
            f"its name if it is not packed."
        ) from error


def read_text(raw: bytes, where: str) -> str:
    """Decode UTF-8 text without its byte order mark; refuse other encodings and empty files."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where}, line {line}: the byte 0x{raw[error.start]:02x} is not UTF-8 text. "
            f"Save the file as UTF-8."
        ) from error
    if not text.strip():
        raise DataError(f"{where} is empty. Was the download or the export interrupted?")
    return text


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
    if fmt not in FORMATS:
        raise UnknownName("file format", fmt, FORMATS)
    if unknown := sorted(set(columns or {}) - set(_COLUMNS)):
        raise UnknownName("column in `columns`", unknown[0], _COLUMNS)
    if fmt == "parquet":
        return _parquet(raw, where, columns or {})
    text = read_text(raw, where)
    if fmt == "adjacency":
        return _adjacency(text, where, allow_empty_users)
    return _delimited(text, where, fmt, columns or {})


def _parquet(raw: bytes, where: str, columns: Mapping[str, str]) -> pd.DataFrame:
    try:
        table = parquet.read_table(pa.BufferReader(raw))
    except pa.ArrowException as error:
        raise DataError(f"{where} is not a whole Parquet file: {error}.") from error
    chosen = _match(table.column_names, columns, where)
    return _frame(
        {ours: table.column(at) for ours, at in chosen.items()},
        lambda row: f"{where}, row {row + 1}",
    )


def _delimited(text: str, where: str, fmt: str, columns: Mapping[str, str]) -> pd.DataFrame:
    if fmt == "movielens":
        text = text.replace("::", "\x1f")
    delimiter, quoted = _DELIMITERS[fmt], fmt in {"csv", "tsv"}
    line, first = next(_records(text, delimiter, quoted=quoted))
    body = text
    if fmt in {"ncf", "movielens"}:
        if not 2 <= len(first) <= 4:
            raise DataError(
                f"{where}, line {line}: {len(first)} fields where the format {fmt!r} "
                f"({FORMATS[fmt]}) has 2 to 4. Is it another format?"
            )
        chosen = {name: at for at, name in enumerate(list(_COLUMNS)[: len(first)])}
    else:
        chosen = _match(first, columns, where)
        body = text.lstrip("\r\n").partition("\n")[2]
    if not body.strip():
        raise DataError(f"{where} has a header line and no rows below it.")
    names = [str(at) for at in range(len(first))]
    wanted = [names[at] for at in chosen.values()]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(body.encode()),
            arrow_csv.ReadOptions(column_names=names),
            arrow_csv.ParseOptions(delimiter=delimiter, quote_char='"' if quoted else False),
            arrow_csv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())
            ),
        )
    except pa.ArrowInvalid as error:
        for line, fields in _records(text, delimiter, quoted=quoted):
            if len(fields) != len(first):
                raise DataError(
                    f"{where}, line {line}: {len(fields)} fields where the first line has "
                    f"{len(first)}. Correct or remove the line."
                ) from error
        raise DataError(f"{where} is not of the format {fmt!r}: {error}.") from error

    def locate(row: int) -> str:
        records = list(_records(text, delimiter, quoted=quoted))[-table.num_rows :]
        return f"{where}, line {records[row][0]}"

    frame = _frame({ours: table[names[at]] for ours, at in chosen.items()}, locate)
    if fmt == "ncf" and "time" in frame:
        # Rebuilt copies of NCF's files write 0 for a time that could not be recovered.
        frame["time"] = frame["time"].mask(frame["time"] == 0)
    return frame


def _records(text: str, delimiter: str, *, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the last line number and the fields of each record that is not blank."""
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)
    for fields in reader:
        if fields:
            yield reader.line_num, fields


def _adjacency(text: str, where: str, allow_empty_users: bool) -> pd.DataFrame:
    counts = np.array([len(line.split()) for line in text.split("\n")])
    if not allow_empty_users and (counts == 1).any():
        line = int(np.flatnonzero(counts == 1)[0])
        raise DataError(
            f"{where}, line {line + 1}: the user {text.split(chr(10))[line].strip()!r} has no "
            f"items. Remove the line, or give the items that belong to it."
        )
    counts = counts[counts > 0]
    tokens = pd.Series(text.split())
    is_user = np.zeros(len(tokens), bool)
    is_user[np.cumsum(counts) - counts] = True
    users = tokens[is_user].repeat(counts - 1).reset_index(drop=True)
    return pd.DataFrame({"user": users, "item": tokens[~is_user].reset_index(drop=True)})


def _match(header: Sequence[str], columns: Mapping[str, str], where: str) -> dict[str, int]:
    """Find the position of each of our columns in a header."""
    names = [name.strip() for name in header]
    plain = [re.sub(r"[^a-z0-9]", "", name.split(":")[0].lower()) for name in names]
    found = {}
    for ours, usual in _COLUMNS.items():
        if ours in columns and columns[ours] in names:
            found[ours] = names.index(columns[ours])
        elif ours not in columns and (known := [name for name in usual if name in plain]):
            found[ours] = plain.index(known[0])
        elif ours in columns or ours in {"user", "item"}:
            near = get_close_matches(columns.get(ours, ours), names, n=1, cutoff=0.5)
            raise DataError(
                f"{where} has no column {columns.get(ours, ours)!r}; its first line gives "
                f"{', '.join(map(repr, names))}. "
                + (f"Did you mean {near[0]!r}? " if near else "")
                + f"Say which one it is with columns = {{ {ours} = '...' }}; a file without a "
                f"header line needs one."
            )
    return found


def _frame(arrays: Mapping[str, Any], locate: Any) -> pd.DataFrame:
    """Turn Arrow columns into ours; `locate` names the place of a row for a message."""
    frame = {}
    for name, given in arrays.items():
        array = given
        if pa.types.is_dictionary(array.type):
            array = pc.cast(array, array.type.value_type)
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            array = pc.utf8_trim_whitespace(array)
            array = pc.if_else(pc.equal(array, ""), None, array)
        column = array.to_pandas()
        frame[name] = column if name in {"user", "item"} else _numbers(column, name, locate)
    return pd.DataFrame(frame)


def _numbers(column: "pd.Series[Any]", name: str, locate: Any) -> "pd.Series[float]":
    is_text = not (
        pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
    )
    numbers = pd.to_numeric(column, errors="coerce") if is_text else column
    bad = numbers.isna() & column.notna()
    if name == "time" and (bad.any() or not pd.api.types.is_numeric_dtype(column)):
        ...
    return numbers
