"""Reviews and other records that are written as a JSON object a line."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import json as arrow_json

from recrepro.data.formats.columns import match_columns
from recrepro.data.formats.convert import arrow_frame
from recrepro.errors import DataError

_BLOCK = 1 << 24
"""Bytes that are read at a time; no line may be longer."""


def parse_jsonlines(stream: Any, where: str, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read JSON lines block by block; of each block only the columns that are needed stay.

    Parameters
    ----------
    stream : file object
        The unpacked content, read once from its start.
    where, columns
        As in `parse_frame`.
    """
    start = stream.read(_BLOCK)
    line = start.lstrip().partition(b"\n")[0]
    if not line.strip():
        raise DataError(f"{where} is empty. Was the download or the export interrupted?")
    try:
        first = json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}, line 1: {line[:60]!r} is not JSON: {error}.") from error
    if not isinstance(first, dict) or not first:
        raise DataError(f"{where}, line 1: a JSON object is needed, with a name for each field.")
    names = list(first)
    chosen = {ours: names[at] for ours, at in match_columns(names, columns, where).items()}
    kinds = [(theirs, _kind(ours, first[theirs])) for ours, theirs in chosen.items()]
    try:
        table = arrow_json.read_json(
            _Rejoined(start, stream),
            # With threads, blocks are read ahead of their parsing without any limit.
            arrow_json.ReadOptions(block_size=_BLOCK, use_threads=False),
            arrow_json.ParseOptions(
                explicit_schema=pa.schema(kinds), unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid as error:
        reason = str(error).strip().rstrip(".")
        raise DataError(f"{where} is not one JSON object a line: {reason}.") from error
    arrays = {ours: table[theirs] for ours, theirs in chosen.items()}
    return arrow_frame(arrays, where, lambda row: f"{where}, record {row + 1}")


def _kind(ours: str, example: object) -> Any:
    """Tell from the first line whether a column holds text or numbers."""
    if isinstance(example, bool) or not isinstance(example, int | float):
        return pa.string()
    return pa.int64() if ours in {"user", "item"} and isinstance(example, int) else pa.float64()


class _Rejoined:
    """A file whose start has been read already."""

    closed = False

    def __init__(self, start: bytes, rest: Any) -> None:
        self.start = start
        self.rest = rest

    def read(self, size: int) -> bytes:
        if self.start:
            given, self.start = self.start[:size], self.start[size:]
            return given
        content: bytes = self.rest.read(size)
        return content
