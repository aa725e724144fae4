"""Text with a separator between the fields: one set of rules for every file of that kind.

Lines end with a line feed, a carriage return or both. All lines have as many fields as the first.
A field may be in double quotes where the dialect has them, and may hold line breaks then.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from recrepro.data.formats.files import check_text
from recrepro.errors import DataError


@dataclass(frozen=True)
class Dialect:
    """How the lines of a format are divided.

    Parameters
    ----------
    delimiter : str
        One character; two colons and runs of blanks are replaced by it before reading.
    called : str
        Its name in messages.
    header : bool
        Whether the first line names the columns.
    quoted : bool
        Whether fields may be in double quotes.
    """

    delimiter: str
    called: str
    header: bool = False
    quoted: bool = False


def dialect_of(delimiter: str, *, header: bool) -> Dialect:
    """Return the dialect of a delimiter; ``""`` stands for blanks."""
    marks = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}
    if delimiter == "::":
        return Dialect("\x1f", "'::'", header)
    if delimiter in {"", " "}:
        return Dialect(" ", "blanks", header)
    quoted = delimiter in ",;" or (delimiter == "\t" and header)
    return Dialect(delimiter, marks.get(delimiter, repr(delimiter)), header, quoted)


@dataclass(frozen=True, eq=False)
class Fields:
    """The fields of a file as text, without the blanks around them.

    Parameters
    ----------
    names : list of str
        The header, or numbers from 0 where there is none.
    columns : list of pyarrow.ChunkedArray
        One for each name.
    locate : callable
        Names the place of a row for an error message.
    """

    names: list[str]
    columns: list[Any]
    locate: Callable[[int], str]


def read_fields(raw: bytes, where: str, dialect: Dialect, encoding: str = "utf-8") -> Fields:
    """Read all fields of a file.

    Raises
    ------
    DataError
        If it is no such text, or a line has another number of fields than the first.
    """
    if encoding != "utf-8":
        raw = raw.decode(encoding).encode()
    text = separated(check_text(raw, where), dialect)
    line, first = next(records(text, dialect, where))
    start = after_header(text, line, where) if dialect.header else 0
    positions = [str(at) for at in range(len(first))]
    types = dict.fromkeys(positions, pa.string())
    try:
        table = read_table(text, start, dialect, positions, types, nulls=())
    except pa.ArrowInvalid as error:
        raise wrong_line(text, dialect, where, len(first), error) from error
    columns = [pc.utf8_trim_whitespace(column) for column in table.columns]
    names = [name.strip() for name in first] if dialect.header else positions

    def locate(row: int) -> str:
        return f"{where}, line {line_of(text, dialect, where, row - len(table))}"

    return Fields(names, columns, locate)


def separated(text: bytes, dialect: Dialect) -> bytes:
    """Put the single character of the dialect between the fields."""
    if dialect.delimiter == "\x1f":
        return text.replace(b"::", b"\x1f")
    if dialect.delimiter == " ":
        single = re.sub(rb"[ \t]+", b" ", text)
        return re.sub(rb" (?=\n|\Z)|(?<=\n) |\A ", b"", single)
    return text


def after_header(text: bytes, line: int, where: str) -> int:
    """Return where the rows start, below a header that ends on a line.

    Raises
    ------
    DataError
        If there are none.
    """
    start = 0
    for _ in range(line):
        start = text.find(b"\n", start) + 1 or len(text)
    if not text[start:].strip():
        raise DataError(
            f"{where} has a header line and no rows below it. Export it again, or name another "
            "file."
        )
    return start


def read_table(
    text: bytes,
    start: int,
    dialect: Dialect,
    names: Sequence[str],
    types: Mapping[str, Any],
    nulls: Sequence[str] = ("",),
) -> pa.Table:
    """Read the columns that have a type.

    Parameters
    ----------
    text : bytes
        The content, with a single character between the fields.
    start : int
        Where the first row starts.
    dialect : Dialect
        How it is divided.
    names : sequence of str
        A name for each field of a line.
    types : mapping of str to pyarrow.DataType
        The columns to read.
    nulls : sequence of str
        Fields that stand for nothing.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a line has another number of fields, or a field is of another type.
    """
    source = pa.py_buffer(text).slice(start)
    # Without this, Arrow cuts its blocks at line breaks inside of quotes, too.
    spanning = dialect.quoted and b'"' in text

    def read(block: int) -> pa.Table:
        return arrow_csv.read_csv(
            pa.BufferReader(source),
            arrow_csv.ReadOptions(column_names=list(names), block_size=block),
            arrow_csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char='"' if dialect.quoted else False,
                newlines_in_values=spanning,
            ),
            arrow_csv.ConvertOptions(
                include_columns=list(types), column_types=dict(types), null_values=list(nulls)
            ),
        )

    try:
        return read(_BLOCK)
    except pa.ArrowInvalid as error:
        if "straddl" not in str(error):
            raise
        return read(min(source.size + 1, 2**31 - 1))  # a record that is larger than a block


_BLOCK = 1 << 20


def wrong_line(
    text: bytes, dialect: Dialect, where: str, n_fields: int, error: Exception
) -> DataError:
    """Return the error for what could not be read: the first line with other fields, or Arrow's."""
    for line, fields in records(text, dialect, where):
        if len(fields) != n_fields:
            return DataError(
                f"{where}, line {line}: the number of fields is {len(fields)}, in the first "
                f"line {n_fields}. Correct or remove the line."
            )
    reason = str(error).strip().rstrip(".")
    return DataError(f"{where} has no lines with {dialect.called} between fields: {reason}.")


def line_of(text: bytes, dialect: Dialect, where: str, record: int) -> int:
    """Return the line of a record; a negative number counts from the end."""
    return list(records(text, dialect, where))[record][0]


def records(text: bytes, dialect: Dialect, where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the (last) line number and the fields of each record that is not blank."""
    lines = io.TextIOWrapper(io.BytesIO(text), "utf-8", newline="")
    reader = csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
    )
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as error:
        raise DataError(
            f"{where}, line {reader.line_num}: {error}. Are there {dialect.called} between fields?"
        ) from error
