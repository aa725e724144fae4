"""Run files: what another program recommends, as user, item and score or rank."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from recrepro.data.formats.delimited import LAYOUTS
from recrepro.data.formats.files import check_text, open_file, read_bytes, unpacked_name
from recrepro.data.formats.read import guess_format, read_frame
from recrepro.data.formats.rows import dialect_of, read_fields, records
from recrepro.errors import DataError, UsageError

RUN_FORMATS = ("csv", "tsv", "parquet", "trec")
SCORES = ("score", "prediction", "pred", "predictedrating", "value", "rating", "weight")
RANKS = ("rank", "position")
_TREC = ("user", "Q0", "item", "rank", "score", "tag")
_TREC_ENDINGS = {".trec", ".run", ".txt"}


def read_run(
    path: Path,
    format: str | None = None,  # noqa: A002  # as in read_frame
    columns: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Read a run file.

    Parameters
    ----------
    path : Path
        The file, packed by gzip or bzip2 or not.
    format : {"csv", "tsv", "parquet", "trec"}, optional
        By default what the file's ending tells. CSV and TSV have a header line. TREC has none and
        six fields: user, Q0, item, rank, score, tag; its order is that of the scores.
    columns : mapping of str to str, optional
        Our names (user, item, score, rank) to the file's.

    Returns
    -------
    pandas.DataFrame
        Columns user and item (text) and score (float; where the file has ranks, their negatives).

    Raises
    ------
    UsageError
        If the file or a column is not there, or its format is not told.
    DataError
        On a malformed file, or a pair that is listed twice.
    """
    open_file(path).close()
    ending = Path(unpacked_name(path.name)).suffix.lower()
    chosen = format or ("trec" if ending in _TREC_ENDINGS else guess_format(path.name))
    if chosen not in RUN_FORMATS:
        raise UsageError(
            f"the format of the run file {path.name!r} is {chosen or 'not told by its ending'}; it "
            f"should be one of {', '.join(RUN_FORMATS)}. Say which one with --file-format."
        )
    frame = _read_trec(path) if chosen == "trec" else _read_table(path, chosen, columns or {})
    frame = frame.astype({"user": str, "item": str})
    twice = frame.duplicated(["user", "item"])
    if twice.any():
        user, item = frame.loc[twice, ["user", "item"]].iloc[0]
        raise DataError(
            f"{path} lists {int(twice.sum())} pairs more than once, first ({user}, {item}). Keep "
            "one of each."
        )
    return frame


def _read_trec(path: Path) -> pd.DataFrame:
    fields = read_fields(read_bytes(path), str(path), dialect_of("", header=False))
    if len(fields.columns) != len(_TREC):
        raise DataError(
            f"{path} has {len(fields.columns)} fields a line; a TREC run has {len(_TREC)}: "
            f"{', '.join(_TREC)}."
        )
    frame = pd.DataFrame(
        {name: c.to_pandas() for name, c in zip(_TREC, fields.columns, strict=True)}
    )
    frame["score"] = _numbers(frame["score"], path)
    return frame[["user", "item", "score"]]


def _read_table(path: Path, fmt: str, columns: Mapping[str, str]) -> pd.DataFrame:
    names = _header(path, fmt)
    plain = {name: "".join(c for c in name.lower() if c.isalnum()) for name in names}
    for ours, usual in (("score", SCORES), ("rank", RANKS)):
        found = [columns[ours]] if ours in columns else [n for n in names if plain[n] in usual]
        if "rank" in columns and ours == "score" and "score" not in columns:
            continue
        if found:
            wanted = {k: v for k, v in columns.items() if k in ("user", "item")}
            frame = read_frame(path, fmt, {**wanted, "value": found[0]})
            score = _numbers(frame["value"], path)
            return frame[["user", "item"]].assign(score=score if ours == "score" else -score)
    raise UsageError(
        f"{path} has neither a score nor a rank; its columns are {', '.join(map(repr, names))}. "
        "Say which one it is: --column score=NAME, or --column rank=NAME."
    )


def _header(path: Path, fmt: str) -> list[str]:
    if fmt == "parquet":
        return list(parquet.read_schema(pa.BufferReader(read_bytes(path))).names)
    layout = LAYOUTS[fmt]
    text = check_text(read_bytes(path), str(path))
    return next(records(text, layout, str(path)))[1]


def _numbers(values: "pd.Series[str]", path: Path) -> "pd.Series[float]":
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    bad = ~numbers.abs().lt(float("inf"))
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise DataError(
            f"{path}: the score in row {row + 1} is {values.iloc[row]!r}, and should be a finite "
            f"number ({int(bad.sum())} such rows)."
        )
    return numbers
