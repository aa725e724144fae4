"""How files of side information are laid out: one class a layout, each reads one feature set."""

import re
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.data.formats.files import check_text
from recrepro.data.formats.numeric import read_numbers
from recrepro.data.formats.rows import Fields, dialect_of, read_fields
from recrepro.errors import DataError, UsageError
from recrepro.labels import as_ids, as_text
from recrepro.spec.experiment import TomlTable


@dataclass(frozen=True, eq=False)
class Rows:
    """What a layout reads: labels, a matrix with a row for each, and what its columns are."""

    ids: NDArray[Any]
    matrix: csr_array
    columns: NDArray[Any]


class FeatureLayout(Protocol):
    """A way in which side information lies in a file."""

    def read(self, raw: bytes, where: str) -> Rows:
        """Take the content of a file apart; `where` is what errors call it."""


class Columns(TomlTable):
    """A line a user or item, with its label and what it is; each value becomes a feature.

    Parameters
    ----------
    take : tuple of int or str
        The columns to read: positions, or names of the header line. Empty: all but the label.
    label : int
        Position of the label.
    delimiter : str
        Between the columns.
    header : bool
        Whether the first line names the columns.
    names : tuple of str
        What `take` is called, where there is no header.
    within : str
        Between several values in one column.
    numeric : tuple of str
        Names of columns that stay numbers.
    absent : str
        Stands for nothing, as an empty field does.
    encoding : str
        Of the text.
    """

    take: tuple[int | str, ...] = ()
    label: int = 0
    delimiter: str = ","
    header: bool = False
    names: tuple[str, ...] = ()
    within: str = "|"
    numeric: tuple[str, ...] = ()
    absent: str = ""
    encoding: str = "utf-8"

    def read(self, raw: bytes, where: str) -> Rows:
        """Read the columns."""
        dialect = dialect_of(self.delimiter, header=self.header)
        fields = read_fields(raw, where, dialect, self.encoding)
        ids = _ids(_column(fields, self.label, where), fields)
        rows, names, values = [], [], []
        taken = self._taken(fields, where)
        for name, column in taken.items():
            if name in self.numeric:
                numbers = self._numbers(name, column, fields)
                known = np.flatnonzero(numbers.notna())
                rows.append(known)
                names.append(np.full(len(known), name, object))
                values.append(numbers.to_numpy(np.float32)[known])
                continue
            parts = column.to_pandas().str.split(self.within, regex=False).explode().str.strip()
            parts = parts[~parts.isin(["", self.absent])]
            rows.append(parts.index.to_numpy())
            prefix = "" if len(taken) == 1 else f"{name}="
            names.append((prefix + parts).to_numpy(object))
            values.append(np.ones(len(parts), np.float32))
        found = np.concatenate(rows), np.concatenate(names), np.concatenate(values)
        return _rows(ids, *found, where)

    def _numbers(self, name: str, column: Any, fields: Fields) -> "pd.Series[float]":
        absent = pc.is_in(column, pa.array(["", self.absent]))
        given = pc.if_else(absent, pa.scalar(None, pa.string()), column)
        return read_numbers(given, name, fields.locate)

    def _taken(self, fields: Fields, where: str) -> dict[str, Any]:
        if not self.take:
            return {
                name: column
                for at, (name, column) in enumerate(zip(fields.names, fields.columns, strict=True))
                if at != self.label
            }
        found = {}
        for number, column in enumerate(self.take):
            if isinstance(column, str) and column not in fields.names:
                raise UsageError(
                    f"{where} has no column {column!r}; it has "
                    f"{', '.join(map(repr, fields.names))}."
                )
            at = column if isinstance(column, int) else fields.names.index(column)
            taken = _column(fields, at, where)
            found[self.names[number] if self.names else fields.names[at]] = taken
        if missing := set(self.numeric) - set(found):
            raise UsageError(f"{where}: 'numeric' names {min(missing)!r}, which is not read.")
        return found


class Flags(TomlTable):
    """A line a user or item; from a column on, 1 or 0 for each feature (``u.item``).

    Parameters
    ----------
    first : int
        Position of the first flag.
    names : tuple of str
        What the flags mean, in order.
    delimiter, encoding : str
        As in `Columns`.
    """

    first: int
    names: tuple[str, ...]
    delimiter: str = "|"
    encoding: str = "utf-8"

    def read(self, raw: bytes, where: str) -> Rows:
        """Read the flags."""
        dialect = dialect_of(self.delimiter, header=False)
        fields = read_fields(raw, where, dialect, self.encoding)
        flags = pd.DataFrame({n: c.to_pandas() for n, c in enumerate(fields.columns[self.first :])})
        if flags.shape[1] != len(self.names) or not flags.isin(["0", "1"]).all(axis=None):
            raise DataError(
                f"{where}: {len(self.names)} columns of 0 and 1 are needed from column "
                f"{self.first + 1} on, one for each of {', '.join(self.names)}."
            )
        matrix = csr_array((flags == "1").to_numpy(np.float32))
        ids = _ids(fields.columns[0], fields)
        return _sorted(Rows(ids, matrix, as_text(self.names)), where)


class Pairs(TomlTable):
    """A line for each label and feature, and how much of it if there is a third column.

    Parameters
    ----------
    delimiter : str
        Between the columns; ``""`` for blanks and tabs.
    header : bool
        Whether the first line names the columns.
    valued : bool
        Whether a third column counts; else each pair is a 1.
    both_ways : bool
        Whether each pair holds the other way round, too: friendships that are listed once.
    """

    delimiter: str = "\t"
    header: bool = False
    valued: bool = True
    both_ways: bool = False

    def read(self, raw: bytes, where: str) -> Rows:
        """Read the pairs; of repeated ones the last counts."""
        fields = read_fields(raw, where, dialect_of(self.delimiter, header=self.header))
        if len(fields.columns) < 2:
            raise DataError(f"{where}: a line needs a label and a feature.")
        pairs = pd.DataFrame({n: _labels(fields.columns[n], fields) for n in range(2)})
        values = np.ones(len(pairs), np.float32)
        if self.valued and len(fields.columns) > 2:
            third = pc.if_else(
                pc.equal(fields.columns[2], ""), pa.scalar("nothing"), fields.columns[2]
            )
            values = read_numbers(third, "third column", fields.locate).to_numpy(np.float32)
        last = (~pairs.duplicated(keep="last")).to_numpy()
        labels, features = as_ids(pairs[0][last]), as_ids(pairs[1][last])
        values = values[last]
        if self.both_ways:
            labels, features = np.append(labels, features), np.append(features, labels)
            pairs = pd.DataFrame({0: labels, 1: features, 2: np.append(values, values)})
            pairs = pairs.drop_duplicates([0, 1], keep="last")
            labels, features, values = (pairs[at].to_numpy() for at in range(3))
        return _from_pairs(labels, features, values)


class Lists(TomlTable):
    """Line n is n, from 0 on: how many there are, and then they (CiteULike).

    Parameters
    ----------
    by_feature : bool
        Whether a line is a feature and lists who has it.
    counted : bool
        Whether each entry is ``feature:count``.
    """

    by_feature: bool = False
    counted: bool = False

    def read(self, raw: bytes, where: str) -> Rows:
        """Read the lists."""
        lines = check_text(raw, where).decode().rstrip("\n").split("\n")
        sizes, entries = np.zeros(len(lines), np.int64), []
        for number, line in enumerate(lines):
            size, *words = line.split() or ["0"]
            if not size.isdigit() or int(size) != len(words):
                raise DataError(
                    f"{where}, line {number + 1}: it starts with {size!r} and has {len(words)} "
                    "entries after that."
                )
            sizes[number] = len(words)
            entries += words
        values = np.ones(len(entries), np.float32)
        of_line = np.repeat(np.arange(len(lines)), sizes)
        wanted = r"\d+:\d+(\.\d+)?" if self.counted else r"\d+"
        for at, entry in enumerate(entries):
            if not re.fullmatch(wanted, entry, re.ASCII):
                what = "number:count" if self.counted else "number"
                raise DataError(f"{where}, line {of_line[at] + 1}: {entry!r} is no {what}.")
        if self.counted:
            parts = [entry.partition(":") for entry in entries]
            entries = [part[0] for part in parts]
            values = np.array([part[2] for part in parts], np.float32)
        listed = np.array(entries, np.int64)
        if self.by_feature:
            of_line, listed = listed, of_line
        n_rows = len(lines) if not self.by_feature else int(of_line.max(initial=-1)) + 1
        n_columns = len(lines) if self.by_feature else int(listed.max(initial=-1)) + 1
        matrix = csr_array((values, (of_line, listed)), shape=(n_rows, n_columns))
        matrix.sum_duplicates()
        if not self.counted:
            matrix.data[:] = 1
        return Rows(np.arange(n_rows), matrix, np.arange(n_columns))


def _column(fields: Fields, at: int, where: str) -> Any:
    if at >= len(fields.columns):
        raise DataError(f"{where} has {len(fields.columns)} columns, not {at + 1} or more.")
    return fields.columns[at]


def _labels(column: Any, fields: Fields) -> "pd.Series[str]":
    """Return labels by the rules of interaction files: none is empty, none spans lines."""
    for bad, what in (
        (pc.equal(column, ""), "is empty. Fill in or remove the line"),
        (pc.match_substring(column, "\n"), "spans lines. Is a quote left open?"),
    ):
        if (row := pc.index(bad, True).as_py()) >= 0:
            raise DataError(f"{fields.locate(row)}: the label {what}.")
    labels: pd.Series[str] = column.to_pandas()
    return labels


def _ids(column: Any, fields: Fields) -> NDArray[Any]:
    return as_ids(_labels(column, fields))


def _rows(
    ids: NDArray[Any],
    rows: NDArray[Any],
    names: NDArray[Any],
    values: NDArray[np.float32],
    where: str,
) -> Rows:
    codes, columns = pd.factorize(np.asarray(names, object), sort=True)
    matrix = csr_array((values, (rows, codes)), shape=(len(ids), len(columns)))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()  # nothing of a feature is not to have it
    return _sorted(Rows(ids, matrix, as_text(columns)), where)


def _from_pairs(labels: NDArray[Any], features: NDArray[Any], values: NDArray[np.float32]) -> Rows:
    ids, rows = np.unique(labels, return_inverse=True)
    columns, codes = np.unique(features, return_inverse=True)
    matrix = csr_array((values, (rows, codes)), shape=(len(ids), len(columns)))
    matrix.eliminate_zeros()
    return Rows(ids, matrix, columns)


def _sorted(rows: Rows, where: str) -> Rows:
    """Sort rows by label; refuse a label that occurs twice."""
    ids, order, counts = np.unique(rows.ids, return_index=True, return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"{where}: a label has two lines: {ids[counts > 1][0]}. Keep one line for each label."
        )
    return Rows(ids, csr_array(rows.matrix[order]), rows.columns)
