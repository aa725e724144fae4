"""How files of side information are laid out: one class a layout, each reads one feature set."""

import io
import re
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.errors import DataError, UsageError
from recrepro.interactions import as_ids
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
        frame = _frame(raw, where, self.delimiter, self.encoding, header=self.header)
        ids = as_ids(frame.iloc[:, self.label])
        columns = self._taken(frame, where)
        rows, names, values = [], [], []
        for name, column in columns.items():
            if name in self.numeric:
                numbers = pd.to_numeric(column, errors="coerce")
                known = np.flatnonzero(numbers.notna())
                rows.append(known)
                names.append(np.full(len(known), name, object))
                values.append(numbers.to_numpy(np.float32)[known])
                continue
            parts = column.fillna("").str.split(self.within, regex=False).explode().str.strip()
            parts = parts[~parts.isin(["", self.absent])]
            rows.append(parts.index.to_numpy())
            prefix = "" if len(columns) == 1 else f"{name}="
            names.append((prefix + parts).to_numpy(object))
            values.append(np.ones(len(parts), np.float32))
        return _rows(ids, np.concatenate(rows), np.concatenate(names), np.concatenate(values))

    def _taken(self, frame: pd.DataFrame, where: str) -> dict[str, pd.Series]:
        others = [at for at in range(frame.shape[1]) if at != self.label]
        if not self.take:
            return {str(frame.columns[at]): frame.iloc[:, at] for at in others}
        found = {}
        for number, column in enumerate(self.take):
            if isinstance(column, str) and column not in frame.columns:
                raise UsageError(
                    f"{where} has no column {column!r}; it has "
                    f"{', '.join(map(repr, frame.columns))}."
                )
            at = column if isinstance(column, int) else list(frame.columns).index(column)
            if at >= frame.shape[1]:
                raise DataError(f"{where} has {frame.shape[1]} columns, not {at + 1} or more.")
            name = self.names[number] if self.names else str(frame.columns[at])
            found[name] = frame.iloc[:, at]
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
        frame = _frame(raw, where, self.delimiter, self.encoding, header=False)
        flags = frame.iloc[:, self.first :]
        if flags.shape[1] != len(self.names) or not flags.isin(["0", "1"]).all(axis=None):
            raise DataError(
                f"{where}: {len(self.names)} columns of 0 and 1 are needed from column "
                f"{self.first + 1} on, one for each of {', '.join(self.names)}."
            )
        matrix = csr_array((flags == "1").to_numpy(np.float32))
        return _sorted(Rows(as_ids(frame.iloc[:, 0]), matrix, np.array(self.names)))


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
        frame = _frame(raw, where, self.delimiter, "utf-8", header=self.header)
        if frame.shape[1] < 2:
            raise DataError(f"{where}: a line needs a label and a feature.")
        frame = frame.set_axis(range(frame.shape[1]), axis=1).drop_duplicates([0, 1], keep="last")
        values = np.ones(len(frame), np.float32)
        if self.valued and frame.shape[1] > 2:
            values = pd.to_numeric(frame[2], errors="coerce").to_numpy(np.float32)
            if not np.isfinite(values).all():
                at = int(np.flatnonzero(~np.isfinite(values))[0])
                raise DataError(f"{where}: {frame[2].iloc[at]!r} in the third column is no number.")
        labels, features = as_ids(frame[0]), as_ids(frame[1])
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
        lines = raw.decode().rstrip("\n").split("\n")
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
        if self.counted:
            parts = [entry.partition(":") for entry in entries]
            entries = [part[0] for part in parts]
            values = np.array([part[2] for part in parts], np.float32)
        of_line = np.repeat(np.arange(len(lines)), sizes)
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


def _frame(raw: bytes, where: str, delimiter: str, encoding: str, *, header: bool) -> pd.DataFrame:
    """Read delimited text as text."""
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not {encoding} text. Save it as {encoding}.") from error
    if delimiter == "::":
        text, delimiter = text.replace("::", "\x1f"), "\x1f"
    elif not delimiter:
        text, delimiter = re.sub(r"[ \t]+", "\t", text), "\t"
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            header=0 if header else None,
            dtype=str,
            keep_default_na=False,
            quoting=0 if delimiter == "," else 3,
            index_col=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{where} cannot be read: {error}.") from error


def _rows(
    ids: NDArray[Any], rows: NDArray[Any], names: NDArray[Any], values: NDArray[np.float32]
) -> Rows:
    codes, columns = pd.factorize(np.asarray(names, object), sort=True)
    matrix = csr_array((values, (rows, codes)), shape=(len(ids), len(columns)))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()  # nothing of a feature is not to have it
    return _sorted(Rows(ids, matrix, np.asarray(columns, str)))


def _from_pairs(labels: NDArray[Any], features: NDArray[Any], values: NDArray[np.float32]) -> Rows:
    ids, rows = np.unique(labels, return_inverse=True)
    columns, codes = np.unique(features, return_inverse=True)
    matrix = csr_array((values, (rows, codes)), shape=(len(ids), len(columns)))
    matrix.eliminate_zeros()
    return Rows(ids, matrix, columns)


def _sorted(rows: Rows) -> Rows:
    """Sort rows by label; refuse a label that occurs twice."""
    ids, order = np.unique(rows.ids, return_index=True)
    if len(ids) != len(rows.ids):
        raise DataError("a label has two lines: " + str(_twice(rows.ids)) + ".")
    return Rows(ids, csr_array(rows.matrix[order]), rows.columns)


def _twice(ids: NDArray[Any]) -> Any:
    found, counts = np.unique(ids, return_counts=True)
    return found[counts > 1][0]
