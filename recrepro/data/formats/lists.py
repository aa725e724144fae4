"""Formats that list the items of a user, or the users of an item, instead of pairs."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from recrepro.data.formats.convert import arrow_frame
from recrepro.errors import DataError


def parse_adjacency(text: bytes, where: str, *, allow_empty_users: bool) -> pd.DataFrame:
    """Read lines of a user and its items; blank lines do not count."""
    lines = text.split(b"\n")
    counts = np.array([len(line.split()) for line in lines])
    if not allow_empty_users and (counts == 1).any():
        at = int(np.flatnonzero(counts == 1)[0])
        user = lines[at].decode().strip()
        raise DataError(
            f"{where}, line {at + 1}: the user {user!r} has no items. Remove the line, or add the "
            f"items that belong to it."
        )
    heads, items, sizes = _taken_apart(text, counts)
    return pd.DataFrame({"user": heads.repeat(sizes), "item": items})


def parse_citeulike(text: bytes, where: str, *, allow_empty_users: bool) -> pd.DataFrame:
    """Read lines of a number and that many items; line n is user n, from 0 on."""
    lines = text.rstrip().split(b"\n")
    counts = np.array([len(line.split()) for line in lines])
    if (counts == 0).any():
        raise DataError(
            f"{where}, line {int(counts.argmin()) + 1} is blank, and the number of a line is the "
            f"user. A user without items is the line '0'."
        )
    heads, items, sizes = _taken_apart(text, counts)
    wrong = np.flatnonzero(heads != sizes.astype(str))
    if len(wrong):
        at = int(wrong[0])
        raise DataError(
            f"{where}, line {at + 1}: it starts with {heads[at]!r} and has {sizes[at]} items after "
            f"that. Each line should be the number of its items and then the items; for files "
            f"whose lines start with the user, say format = 'adjacency'."
        )
    if not allow_empty_users and (sizes == 0).any():
        raise DataError(
            f"{where}, line {int(sizes.argmin()) + 1}: the user has no items, which only a test "
            f"part may have."
        )
    users = np.arange(len(sizes)).astype(str).astype(object)
    return pd.DataFrame({"user": users.repeat(sizes), "item": items})


def _taken_apart(
    text: bytes, counts: NDArray[np.int_]
) -> "tuple[NDArray[np.object_], NDArray[np.object_], NDArray[np.int_]]":
    """Return the first word of each line, all other words, and how many of them each line has."""
    # Bytes are divided at the blanks of ASCII only: a no-break space is part of a label.
    words = np.array(b"\n".join(text.split()).decode().split("\n"), dtype=object)
    if not text.isascii():
        words = np.array([word.strip() for word in words], dtype=object)
    counts = counts[counts > 0]
    is_head = np.zeros(len(words), bool)
    is_head[np.cumsum(counts) - counts] = True
    return words[is_head], words[~is_head], counts - 1


def parse_netflix(text: bytes, where: str) -> pd.DataFrame:
    """Read blocks of ratings, each below a line with its movie and a colon."""
    heads: list[tuple[int, str]] = []

    def other(row: arrow_csv.InvalidRow) -> str:
        heads.append((row.number, row.text))
        return "skip" if re.fullmatch(r"\s*\d+:\s*", row.text) else "error"

    kinds = {"user": pa.int64(), "value": pa.float64(), "time": pa.timestamp("s")}
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text),
            # Only without threads does Arrow tell which line is a movie's.
            arrow_csv.ReadOptions(column_names=list(kinds), use_threads=False),
            arrow_csv.ParseOptions(invalid_row_handler=other, ignore_empty_lines=False),
            arrow_csv.ConvertOptions(column_types=kinds),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        line, found = heads[-1] if heads else (1, str(error))
        raise DataError(
            f"{where}, line {line} or below: {found[:60]!r}. Lines should be 'movie:' or "
            f"'user,rating,date' ({_reason(error)})."
        ) from error
    if not heads or heads[0][0] != 1:
        raise DataError(f"{where}, line 1: it should be a movie and a colon, such as '1:'.")
    if not table.num_rows:
        raise DataError(f"{where} has no rows below its movies. Was the download interrupted?")
    at = np.array([number for number, _ in heads])
    movies = np.array([int(found.strip()[:-1]) for _, found in heads])
    sizes = np.diff(at, append=len(at) + table.num_rows + 1) - 1
    arrays = {"user": table["user"], "item": pa.chunked_array([pa.array(movies.repeat(sizes))])}
    arrays |= {"value": table["value"], "time": table["time"]}

    def locate(row: int) -> str:
        return f"{where}, line {row + int(np.searchsorted(np.cumsum(sizes), row, 'right')) + 2}"

    return arrow_frame(arrays, where, locate)


def _reason(error: Exception) -> str:
    return str(error).strip().rstrip(".")[:200]
