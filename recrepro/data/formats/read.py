"""Interactions and published splits, read from files in the formats that papers publish."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recrepro.data.dataset import Dataset, PublishedSplit
from recrepro.data.formats.files import check_text, not_whole, open_file, read_bytes, unpacked_name
from recrepro.data.formats.guess import likely_format
from recrepro.data.formats.jsonlines import parse_jsonlines
from recrepro.data.formats.parse import FORMATS, check_format, parse_frame, parse_parquet
from recrepro.data.formats.times import settle_times
from recrepro.errors import DataError, UsageError
from recrepro.interactions import Duplicates, Interactions, TimeUnit
from recrepro.labels import as_ids

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".rating": "ncf",
    ".data": "ncf",
    ".inter": "recbole",
    ".json": "jsonl",
    ".jsonl": "jsonl",
}


_LONGEST_LINE = 10_000
"""So many bytes of a first line are enough to guess a format from."""

_STREAMED = {"jsonl": parse_jsonlines, "parquet": parse_parquet}
"""Formats whose files are never in memory as a whole: most of them may be of no use here."""


_NEGATIVES_LINE = r"^\s*\(\s*(?P<user>[^,\t]+?)\s*,\s*(?P<holdout>[^\t]+?)\s*\) *\t(?P<items>.+)$"


def guess_format(name: str) -> str | None:
    """Return the format that a file name tells, or None where its ending is used by several."""
    return _SUFFIXES.get(Path(unpacked_name(name)).suffix.lower())


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
        The file, packed by gzip or bzip2 or not.
    format : str, optional
        A name of `FORMATS`; by default what the file's ending tells.
    columns : mapping of str to str, optional
        Our names (user, item, value, time) to the file's; the usual names need no mapping.
    allow_empty_users : bool
        Whether a line of an adjacency file, or of one like it, may hold a user and no item.

    Returns
    -------
    pandas.DataFrame
        Columns user and item (text, unless Parquet stores integers) and, where the file has
        them, value (float) and time (int64, or Int64 where some are empty; the unit is what
        `settle_times` says of all files that belong together).

    Raises
    ------
    UsageError
        If the file is not there, its format is neither given nor told by its ending, or a column
        that is needed is not there or could be one of several, or columns are named where the
        format has no names.
    DataError
        If the content is not of the format; the message names the file and the line.
    """
    open_file(path).close()  # That it is not there comes before anything else.
    chosen = format or guess_format(path.name)
    if chosen is None:
        with open_file(path) as file:
            line = file.readline(_LONGEST_LINE).decode(errors="replace").strip()
        likely = likely_format(line)
        looks = f'Its first line, {line[:40]!r}, looks like format = "{likely}". ' if likely else ""
        raise UsageError(
            f"the ending of {path.name!r} does not tell its format. {looks}Write format = one of: "
            + "; ".join(f"{name!r} ({what})" for name, what in FORMATS.items())
            + "."
        )
    if chosen in _STREAMED:
        return _read_stream(path, chosen, columns or {})
    raw = read_bytes(path)
    return parse_frame(raw, str(path), chosen, columns, allow_empty_users=allow_empty_users)


def _read_stream(path: Path, fmt: str, columns: Mapping[str, str]) -> pd.DataFrame:
    check_format(fmt, columns, str(path))
    with open_file(path) as file:
        try:
            anywhere = fmt != "parquet" or file.seekable()
            stream = file if anywhere else pa.BufferReader(read_bytes(path))
            return _STREAMED[fmt](stream, str(path), columns)
        except (EOFError, OSError, zlib.error) as error:
            raise not_whole(path, error) from error


def read_interactions(
    path: Path,
    format: str | None = None,  # noqa: A002  # as in read_frame
    columns: Mapping[str, str] | None = None,
    *,
    duplicates: Duplicates = "last",
) -> Interactions:
    """Read a file of interactions; see `read_frame` and `Interactions.from_frame`."""
    frame = read_frame(path, format, columns)
    return build_interactions(frame, str(path), duplicates=duplicates)


def build_interactions(
    frame: pd.DataFrame, where: str, *, duplicates: Duplicates = "last"
) -> Interactions:
    """Build interactions from what `read_frame` returns, and name the file in every error."""
    settle_times([frame])
    value, time = (name if name in frame else None for name in ("value", "time"))
    return _build(frame, where, value=value, time=time, duplicates=duplicates)


def read_negatives(path: Path) -> pd.DataFrame:
    """Read sampled negatives as NCF publishes them: ``(user,item)``, then items, by tabs.

    Parameters
    ----------
    path : Path
        A ``*.test.negative`` file, gzipped or not.

    Returns
    -------
    pandas.DataFrame
        Columns user, holdout (the test item that they are ranked with) and item; text; one row
        a negative, repeats kept.

    Raises
    ------
    DataError
        On a line that is something else, with its number.
    """
    return parse_negatives(read_bytes(path), str(path))


def parse_negatives(raw: bytes, where: str) -> pd.DataFrame:
    """Do the work of `read_negatives` on content that is already in memory."""
    lines = pa.array(check_text(raw, where).decode().split("\n"))
    lines = pc.utf8_rtrim_whitespace(lines)
    numbers = np.flatnonzero(pc.not_equal(lines, "").to_numpy(zero_copy_only=False))
    lines = lines.take(pa.array(numbers))
    heads = pc.extract_regex(lines, _NEGATIVES_LINE)
    items = pc.split_pattern(pc.struct_field(heads, "items"), "\t")
    of_line = pc.list_parent_indices(items).to_numpy()
    item = pc.utf8_trim_whitespace(items.flatten())
    bad = heads.is_null().to_numpy(zero_copy_only=False)
    bad[of_line[pc.equal(item, "").to_numpy(zero_copy_only=False)]] = True
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"{where}, line {numbers[at] + 1}: it should be '(user,item)' and then items, with "
            f"tabs between them, and starts with {lines[at].as_py()[:40]!r}."
        )
    pairs = {name: pc.struct_field(heads, name).take(of_line) for name in ("user", "holdout")}
    frame: pd.DataFrame = pa.table(pairs | {"item": item}).to_pandas()
    return frame


def read_published(
    name: str,
    train: Path,
    test: Path,
    negatives: Path | None = None,
    format: str | None = None,  # noqa: A002  # as in read_frame
    columns: Mapping[str, str] | None = None,
    *,
    validation: Path | None = None,
    duplicates: Duplicates = "last",
    time_unit: TimeUnit | None = None,
) -> Dataset:
    """Read a split as someone published it.

    Labels are those of all files together. Times are kept if both parts have them. A pair in
    both parts stays in both: what that means for the result is not for a reader of files to say.

    Parameters
    ----------
    name : str
        What tables call the data set.
    train, test, validation, negatives : Path
        The files; the negatives in the layout of `read_negatives`.
    format, columns
        As in `read_frame`, for all parts alike.
    duplicates
        As in `Interactions.from_frame`, within each part.
    time_unit
        As in `settle_times`.

    Raises
    ------
    DataError
        On a malformed file, or if the negatives belong to another test part.
    UsageError
        As `read_frame`, and if one file is given for two of them.
    """
    paths = {"train": train, "validation": validation, "test": test}
    parts = {part: path for part, path in paths.items() if path is not None}
    given = [*parts.values(), *([negatives] if negatives is not None else [])]
    if len({path.resolve() for path in given}) < len(given):
        raise UsageError(
            f"{', '.join(parts)}{' and negatives' if negatives else ''} of the data set {name!r} "
            f"must be different files; given: {', '.join(map(str, given))}."
        )
    frames = {
        part: read_frame(path, format, columns, allow_empty_users=part != "train")
        for part, path in parts.items()
    }
    return build_published(
        name,
        frames,
        {part: str(path) for part, path in parts.items()} | {"negatives": str(negatives)},
        None if negatives is None else read_negatives(negatives),
        duplicates=duplicates,
        time_unit=time_unit,
    )


def build_published(
    name: str,
    frames: Mapping[str, pd.DataFrame],
    where: Mapping[str, str],
    drawn: pd.DataFrame | None = None,
    *,
    duplicates: Duplicates = "last",
    time_unit: TimeUnit | None = None,
) -> Dataset:
    """Build a published split from its parts as read.

    Parameters
    ----------
    name : str
        What tables call the data set.
    frames : mapping of str to pandas.DataFrame
        What `read_frame` returns for train and test and, where there is one, validation.
    where : mapping of str to str
        What error messages call the file of each part and that of the negatives.
    drawn : pandas.DataFrame, optional
        What `read_negatives` returns.
    duplicates, time_unit
        As in `read_published`.
    """
    unit = settle_times(list(frames.values()), time_unit)
    everything = [*frames.values(), *([drawn] if drawn is not None else [])]
    ids = {of: _labels([frame[of] for frame in everything]) for of in ("user", "item")}
    has_values = all("value" in frame for frame in frames.values())
    has_times = all("time" in frame for frame in frames.values())
    made = {
        part: _build(
            frame,
            where[part],
            value="value" if "value" in frame else None,
            time="time" if has_times else None,
            duplicates=duplicates,
            user_ids=ids["user"],
            item_ids=ids["item"],
        )
        for part, frame in frames.items()
    }
    sampled = None
    if drawn is not None:
        _check_holdouts(where["negatives"], drawn, where["test"], frames["test"])
        sampled = _count_negatives(drawn, where["negatives"], ids)
    split = PublishedSplit(made["train"], made["test"], sampled, made.get("validation"))
    return Dataset(name, split.union, split, has_values, time_unit=unit if has_times else "s")


def _count_negatives(drawn: pd.DataFrame, where: str, ids: Mapping[str, NDArray[Any]]) -> csr_array:
    """Count how often each negative is listed for one test item of the user."""
    listed = drawn.value_counts(sort=False).rename("listed").reset_index()
    options = {"user_ids": ids["user"], "item_ids": ids["item"]}
    counts = _build(listed, where, value="listed", duplicates="max", **options)
    return counts.matrix.astype(np.int32)


def _build(frame: pd.DataFrame, where: str, **options: Any) -> Interactions:
    try:
        return Interactions.from_frame(frame, **options)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _labels(columns: "list[pd.Series[Any]]") -> NDArray[Any]:
    distinct = pd.concat([column.drop_duplicates() for column in columns]).dropna()
    return np.unique(as_ids(distinct))


def _check_holdouts(negatives: str, drawn: pd.DataFrame, test: str, held_out: pd.DataFrame) -> None:
    pairs = drawn[["user", "holdout"]].drop_duplicates().astype(str)
    known = pd.MultiIndex.from_frame(held_out[["user", "item"]].astype(str))
    strange = ~pd.MultiIndex.from_frame(pairs).isin(known)
    if strange.any():
        user, item = pairs[strange].iloc[0]
        raise DataError(
            f"{negatives} holds negatives for ({user},{item}), which is no pair of {test}; so it "
            f"is for {int(strange.sum())} of {len(pairs)} pairs. Do the files belong together?"
        )
