"""Reviews and other records that are written as a JSON object a line."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import json as arrow_json

from recrepro.data.formats.columns import match_columns, meaning
from recrepro.data.formats.convert import arrow_frame
from recrepro.data.formats.files import check_utf8, with_line_feeds
from recrepro.data.formats.times import EXACT
from recrepro.errors import DataError

_BLOCK = 1 << 20
"""Bytes that are read at a time."""
_FIRST = 1 << 15
"""Bytes that are read first: for thousands of fields, Arrow takes the square of their number."""
_LONGEST_LINE = 1 << 24
"""Bytes of a line."""

DEEPEST = 64
"""Objects and lists inside of each other. Published reviews have three; of thousands, Arrow
crashes."""
MOST_FIELDS = 1_000
"""Fields of all records together; published reviews have a dozen."""

_OTHER = bytes(set(range(256)) - set(b'[]{}":'))


def parse_jsonlines(stream: Any, where: str, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read JSON lines block by block; of each block only the columns that may be needed stay.

    A field may be missing from any record, the first ones included: it is null there.

    Parameters
    ----------
    stream : file object
        The unpacked content, read once from its start.
    where, columns
        As in `parse_frame`.
    """
    records = _Records(where, columns)
    for block in _blocks(stream, where):
        records.add(block)
    return records.frame()


def _blocks(stream: Any, where: str) -> Iterator[bytes]:
    """Yield whole lines, many at a time; the first block has no byte order mark."""
    rest = stream.read(_FIRST).removeprefix(b"\xef\xbb\xbf")
    more = rest
    while more:
        end = max(rest.rfind(b"\n"), rest.rfind(b"\r")) + 1
        lines, rest = rest[:end], rest[end:]
        if len(rest) > _LONGEST_LINE:
            raise DataError(
                f"{where} has a line of more than {_LONGEST_LINE:,} bytes. A JSON object a line "
                "is needed."
            )
        yield with_line_feeds(lines)
        more = stream.read(_BLOCK)
        rest += more
    yield with_line_feeds(rest)


def _shape(block: bytes) -> tuple[int, int]:
    """Return how deep JSON is nested, and the most fields of a record, without reading it."""
    # Of what is written as \\ and \", nothing stays; then, each quote begins or ends a text.
    marks = block.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _OTHER)
    codes = np.frombuffer(marks, np.uint8)
    quotes = codes == ord('"')
    codes = codes[~quotes & ~np.logical_xor.accumulate(quotes)]
    steps = np.zeros(len(codes), np.int8)
    for mark, step in (("[", 1), ("{", 1), ("]", -1), ("}", -1)):
        steps[codes == ord(mark)] = step
    depths = steps.cumsum(dtype=np.int32)
    fields = (codes == ord(":")) & (depths == 1)
    ends = np.flatnonzero((depths == 0) & (steps < 0))
    most = np.diff(fields.cumsum()[ends], prepend=0).max(initial=0)
    return int(depths.max(initial=0)), int(most)


class _Records:
    """Records as columns: all names, and the columns whose names may be ours.

    A column has the type of its first value that is not null.
    """

    def __init__(self, where: str, columns: Mapping[str, str]) -> None:
        self.where = where
        self.columns = columns
        self.names: dict[str, None] = {}
        self.kinds: dict[str, pa.DataType] = {}
        self.parts: list[pa.Table] = []
        self.n_lines = 0
        self.n_records = 0

    def add(self, block: bytes) -> None:
        """Read a block of whole lines."""
        check_utf8(block, self.where, self.n_lines)
        depth, n_fields = _shape(block)
        if depth > DEEPEST:
            raise DataError(
                f"{self.where} has a record, after line {self.n_lines}, in which objects and "
                f"lists are nested more than {DEEPEST} deep, as in no file of ratings. Remove it."
            )
        self._refuse_many(n_fields)
        if block.strip():
            table = self._first_look(block)
            learned = [name for name in table.column_names if self._learn(name, block)]
            if learned:
                table = self._parsed(block, "ignore")
            self.parts.append(table.select([n for n in table.column_names if n in self.kinds]))
            self.n_records += table.num_rows
        self.n_lines += block.count(b"\n")

    def _refuse_many(self, n_fields: int) -> None:
        if n_fields > MOST_FIELDS:
            raise DataError(
                f"{self.where} has records, after line {self.n_lines}, with more than "
                f"{MOST_FIELDS:,} different fields, as no file of ratings has. Is a label written "
                "as the name of a field?"
            )

    def frame(self) -> pd.DataFrame:
        """Return the columns that are ours."""
        if not self.n_records:
            raise DataError(f"{self.where} is empty. Was the download or the export interrupted?")
        names = list(self.names)
        chosen = match_columns(names, self.columns, self.where)
        arrays = {ours: self._whole(names[at]) for ours, at in chosen.items()}
        return arrow_frame(arrays, self.where, lambda row: f"{self.where}, record {row + 1}")

    def _first_look(self, block: bytes) -> pa.Table:
        """Read all fields, and note their names."""
        try:
            table = self._parsed(block, "infer")
            found = table.column_names
        except DataError:
            # Fields of changing types, which matter only if they are ours.
            found = [name for record in self._decoded(block) for name in record]
            table = self._parsed(block, "ignore")
            missing = [n for n in dict.fromkeys(found) if n not in table.column_names]
            for name in missing:
                table = table.append_column(name, pa.nulls(table.num_rows))
        self.names |= dict.fromkeys(found)
        self._refuse_many(len(self.names))
        return table

    def _learn(self, name: str, block: bytes) -> bool:
        """Find the type of a column that may be ours; say whether it is known only now."""
        ours = meaning(name, self.columns)
        if ours is None or name in self.kinds:
            return False
        values = (record.get(name) for record in self._decoded(block))
        first = next((value for value in values if value is not None), None)
        if first is not None:
            self.kinds[name] = _kind(ours, first)
        return first is not None

    def _parsed(self, block: bytes, others: str) -> pa.Table:
        """Read a block with the types that are known; `others` says what becomes of the rest."""
        try:
            return arrow_json.read_json(
                pa.BufferReader(block),
                arrow_json.ReadOptions(block_size=len(block) + 1, use_threads=False),
                arrow_json.ParseOptions(
                    explicit_schema=pa.schema(list(self.kinds.items())),
                    unexpected_field_behavior=others,
                ),
            )
        except pa.ArrowInvalid as error:
            if others == "ignore":
                self._refuse_other_kinds(block)
            reason = str(error).strip().rstrip(".")
            raise DataError(f"{self.where} is not one JSON object a line: {reason}.") from error

    def _decoded(self, block: bytes) -> Iterator[dict[str, Any]]:
        """Yield each record of a block, or say which line is none."""
        for number, line in enumerate(block.split(b"\n"), start=self.n_lines + 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise DataError(
                    f"{self.where}, line {number}: {line[:60]!r} is not JSON, and the format is "
                    f"not one JSON object a line: {error}."
                ) from error
            if not isinstance(record, dict):
                raise DataError(
                    f"{self.where}, line {number}: a JSON object is needed, with a name for each "
                    "field."
                )
            yield record

    def _refuse_other_kinds(self, block: bytes) -> None:
        """Name the first value whose type differs from that of the column."""
        for row, record in enumerate(self._decoded(block), start=self.n_records + 1):
            for name, kind in self.kinds.items():
                value, ours = record.get(name), meaning(name, self.columns)
                if value is not None and not _fits(value, kind):
                    raise DataError(
                        f"{self.where}, record {row}: the {ours} {json.dumps(value)[:60]} is not "
                        f"{_CALLED[kind]}, as it is in the records before. Write all in the same "
                        "way."
                    )

    def _whole(self, name: str) -> Any:
        """Return a column of all blocks; null where a block lacks it."""
        kind = self.kinds.get(name, pa.null())
        chunks: list[Any] = []
        for part in self.parts:
            has = name in part.column_names
            chunks += part[name].chunks if has else [pa.nulls(part.num_rows, kind)]
        return pa.chunked_array(chunks, kind)


_CALLED = {pa.string(): "text", pa.int64(): "a whole number"} | dict.fromkeys(
    (pa.float64(), EXACT), "a finite number"
)


def _fits(value: object, kind: Any) -> bool:
    """Say whether a value that is not null can be read as of a type."""
    if kind == pa.string():
        return isinstance(value, str)
    if isinstance(value, bool) or (kind == pa.int64() and not isinstance(value, int)):
        return False
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _kind(ours: str, example: object) -> Any:
    """Say how a column is read of which one value is known."""
    if isinstance(example, bool) or not isinstance(example, int | float):
        return pa.string()
    if ours == "time":
        return EXACT
    return pa.int64() if ours in {"user", "item"} and isinstance(example, int) else pa.float64()
