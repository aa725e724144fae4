"""The content of interaction files: unpacked, checked and taken apart, format by format."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from recrepro.data.columns import COLUMNS, match_columns
from recrepro.data.conversion import arrow_frame
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

_DELIMITERS = {"csv": ",", "tsv": "\t", "recbole": "\t", "ncf": "\t", "movielens": "\x1f"}


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked if it is gzipped."""
    try:
        if not path.is_file():
            raise _no_file(path)
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


def _no_file(path: Path) -> UsageError:
    whole = path.resolve()
    if path.is_dir():
        present = sorted(p.name for p in path.iterdir())
        more = ", ..." if len(present) > 5 else ""
        holds = f"it holds {', '.join(present[:5])}{more}" if present else "it is empty"
        return UsageError(f"{whole} is a folder, and a file is needed; {holds}.")
    if path.exists():
        return UsageError(f"{whole} is not a regular file. Name a file that can be read again.")
    if path.is_symlink():
        return UsageError(f"{path} is a link to {path.readlink()}, which is not there.")
    folder = path.parent
    if not folder.is_dir():
        return UsageError(f"the file {whole} is not there. Its folder is not there either.")
    present = sorted(p.name for p in folder.iterdir())
    near = [repr(n) for n in get_close_matches(path.name, present, n=3, cutoff=0.5)]
    hint = f"Its folder holds {', '.join(present[:5]) or 'nothing'}."
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    return UsageError(f"the file {whole} is not there. {hint}")


def check_text(raw: bytes, where: str) -> bytes:
    """Return UTF-8 text without its byte order mark; refuse other encodings and empty files."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where}, line {line}: the byte 0x{raw[error.start]:02x} is not UTF-8 text. "
            f"Save the file as UTF-8."
        ) from error
    if not (text := raw.removeprefix(b"\xef\xbb\xbf")).strip():
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
    if unknown := sorted(set(columns or {}) - set(COLUMNS)):
        raise UnknownName("column in `columns`", unknown[0], COLUMNS)
    if fmt == "parquet":
        return _parquet(raw, where, columns or {})
    text = check_text(raw, where)
    if fmt == "adjacency":
        return _adjacency(text, where, allow_empty_users)
    return _delimited(text, where, fmt, columns or {})


def _parquet(raw: bytes, where: str, columns: Mapping[str, str]) -> pd.DataFrame:
    try:
        table = parquet.read_table(pa.BufferReader(raw))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where} is not a whole Parquet file: {_reason(error)}.") from error
    if not table.num_rows:
        raise DataError(f"{where} has no rows. Was the export interrupted?")
    chosen = match_columns(table.column_names, columns, where)
    arrays = {ours: table.column(at) for ours, at in chosen.items()}
    return arrow_frame(arrays, where, lambda row: f"{where}, row {row + 1}")


def _delimited(text: bytes, where: str, fmt: str, columns: Mapping[str, str]) -> pd.DataFrame:
    if fmt == "movielens":
        text = text.replace(b"::", b"\x1f")
    line, first = next(_records(text, fmt, where))
    chosen = _chosen(first, fmt, columns, where, line)
    start = 0
    if fmt not in {"ncf", "movielens"}:
        start = len(text) - len(text.lstrip(b"\r\n").partition(b"\n")[2])
        if not text[start:].strip():
            raise DataError(f"{where} has a header line and no rows below it.")
    names = [str(at) for at in range(len(first))]
    wanted = [names[at] for at in chosen.values()]
    quote = '"' if fmt in {"csv", "tsv"} else False
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(pa.py_buffer(text).slice(start)),
            arrow_csv.ReadOptions(column_names=names),
            arrow_csv.ParseOptions(delimiter=_DELIMITERS[fmt], quote_char=quote),
            arrow_csv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())
            ),
        )
    except pa.ArrowInvalid as error:
        for line, fields in _records(text, fmt, where):
            if len(fields) != len(first):
                raise DataError(
                    f"{where}, line {line}: the number of fields is {len(fields)}, in the first "
                    f"line {len(first)}. Correct or remove the line."
                ) from error
        raise DataError(f"{where} is not of the format {fmt!r}: {_reason(error)}.") from error

    def locate(row: int) -> str:
        return f"{where}, line {list(_records(text, fmt, where))[row - table.num_rows][0]}"

    arrays = {ours: table[names[at]] for ours, at in chosen.items()}
    frame = arrow_frame(arrays, where, locate)
    if fmt == "ncf" and "time" in frame:
        # Rebuilt copies of NCF's files write 0 for a time that could not be recovered.
        frame["time"] = frame["time"].mask(frame["time"] == 0)
    return frame


def _chosen(
    first: list[str], fmt: str, columns: Mapping[str, str], where: str, line: int
) -> dict[str, int]:
    """Find the position of each of our columns, by the first line or by the format."""
    if fmt in {"ncf", "movielens"}:
        if not 2 <= len(first) <= 4:
            raise DataError(
                f"{where}, line {line}: {len(first)} fields where the format {fmt!r} "
                f"({FORMATS[fmt]}) has 2 to 4. Is it another format?"
            )
        return {name: at for at, name in enumerate(list(COLUMNS)[: len(first)])}
    if len(first) == 1:
        _check_delimiter(first[0], fmt, f"{where}, line {line}")
    return match_columns(first, columns, where)


def _reason(error: Exception) -> str:
    return str(error).strip().rstrip(".")


def _check_delimiter(header: str, fmt: str, place: str) -> None:
    """Refuse a header of a single field that some other character would take apart."""
    wanted = "tabs" if _DELIMITERS[fmt] == "\t" else "commas"
    for mark, name, other in (
        ("\t", "tabs", "tsv"),
        (",", "commas", "csv"),
        ("::", "'::'", "movielens"),
        (";", "semicolons", None),
        ("|", "bars", None),
    ):
        if mark in header:
            problem = f"{place}: the format {fmt!r} has {wanted} between the fields, not {name}."
            if other is None:
                raise DataError(f"{problem} Write the file with {wanted}.")
            raise UsageError(f'{problem} Say format = "{other}".')


def _records(text: bytes, fmt: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the (last) line number and the fields of each record that is not blank."""
    lines = io.TextIOWrapper(io.BytesIO(text), "utf-8", newline="")
    reader = csv.reader(
        lines,
        delimiter=_DELIMITERS[fmt],
        quoting=csv.QUOTE_MINIMAL if fmt in {"csv", "tsv"} else csv.QUOTE_NONE,
    )
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as error:
        raise DataError(
            f"{where}, line {reader.line_num}: {error}. Is it of the format {fmt!r}?"
        ) from error


def _adjacency(text: bytes, where: str, allow_empty_users: bool) -> pd.DataFrame:
    lines = text.decode().split("\n")
    counts = np.array([len(line.split()) for line in lines])
    if not allow_empty_users and (counts == 1).any():
        at = int(np.flatnonzero(counts == 1)[0])
        raise DataError(
            f"{where}, line {at + 1}: the user {lines[at].strip()!r} has no items. Remove the "
            f"line, or add the items that belong to it."
        )
    tokens = pd.Series(text.decode().split())
    counts = counts[counts > 0]
    is_user = np.zeros(len(tokens), bool)
    is_user[np.cumsum(counts) - counts] = True
    users = tokens[is_user].to_numpy().repeat(counts - 1)
    return pd.DataFrame({"user": users, "item": tokens[~is_user].to_numpy()})
