"""Loading a data set by its name, and making sure that it is the right one."""

import os
from collections.abc import Iterator
from pathlib import Path

from recrepro.data.dataset import Dataset, content_checksum
from recrepro.data.datasets import DATASETS, NamedDataset, Source
from recrepro.data.fetch import download_path, fetch, read_member
from recrepro.data.formats import build_interactions, guess_format, read_frame, read_published
from recrepro.data.parsing import parse_frame
from recrepro.errors import DataError, UnknownName, UsageError
from recrepro.interactions import Duplicates

_MB = 1_000_000
_UNPACKED = 10
"""A file in an archive may be this many times larger than the archive may be."""


def load_named(
    name: str,
    data_dir: Path | None = None,
    *,
    duplicates: Duplicates = "last",
    progress: bool = True,
) -> Dataset:
    """Load a data set by its name, from a local copy if there is one, else by download.

    Local copies are looked for in `data_dir`, then in the folder that ``RECREPRO_DATA`` names.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.
    data_dir : Path, optional
        A folder with local copies.
    duplicates
        As in `Interactions.from_frame`.
    progress : bool
        Whether a download may draw a progress bar.

    Raises
    ------
    UnknownName
        If there is no such data set.
    DataError
        If it cannot be had, or what was found is not it. A local copy is never deleted.
    """
    entry = find_entry(name)
    found = [_locate(entry, source, data_dir, progress=progress) for source in entry.sources]
    fetched = [
        (source, path)
        for source, path in zip(entry.sources, found, strict=True)
        if path not in _candidates(source, data_dir)
    ]
    # What came with the right checksum is the published data, whatever our table says of it.
    certain = len([source for source, _ in fetched if source.sha256]) == len(found)
    try:
        dataset = _read(name, entry, found)
        _verify(name, entry, dataset, found, certain=certain)
    except (DataError, UsageError) as error:
        for source, path in fetched:
            if source.sha256 is None:
                path.unlink()
        if isinstance(error, DataError):
            raise
        # The columns of a known data set are known: with others it is another file.
        raise DataError(f"this is not the data set {name!r}: {error} {_leave(entry)}") from error
    # What the table says of a data set holds for the usual rule.
    return dataset if duplicates == "last" else _read(name, entry, found, duplicates)


def _folders(data_dir: Path | None) -> list[Path]:
    named = os.environ.get("RECREPRO_DATA")
    return [folder for folder in (data_dir, Path(named) if named else None) if folder]


def _candidates(source: Source, data_dir: Path | None) -> Iterator[Path]:
    for folder in _folders(data_dir):
        for local in source.local:
            yield folder / local
            yield folder / f"{local}.gz"
        if source.member:
            archive = source.url.rpartition("/")[2]
            yield folder / archive
            yield (folder / source.local[0]).parent / archive


def _cached(source: Source) -> list[Path]:
    return [download_path(source.url)] if source.url else []


def _locate(entry: NamedDataset, source: Source, data_dir: Path | None, *, progress: bool) -> Path:
    tried = list(_candidates(source, data_dir))
    for path in tried:
        if path.is_file():
            return path
    looked = f"Looked for {', '.join(map(str, tried))}." if tried else "No data folder is given."
    if not source.url:
        raise DataError(
            f"{entry.title} is not here, and nobody serves it for download. {looked} Get it from "
            f"{entry.homepage}, put it below a folder as {source.local[0]} and pass that folder "
            f"with --data DIR (or RECREPRO_DATA)."
        )
    try:
        return fetch(source.url, source.sha256, size_limit=source.limit_mb * _MB, progress=progress)
    except DataError as error:
        raise DataError(
            f"{error} There it belongs at {source.local[0]}. {looked} Home page: {entry.homepage}."
        ) from error


def _read(
    name: str, entry: NamedDataset, found: list[Path], duplicates: Duplicates = "last"
) -> Dataset:
    if len(found) > 1:
        negatives = found[2] if len(found) > 2 else None
        return read_published(
            name, found[0], found[1], negatives, entry.format, duplicates=duplicates
        )
    path, source = found[0], entry.sources[0]
    if path.suffix == ".zip":
        raw = read_member(path, source.member, source.limit_mb * _MB * _UNPACKED)
        where = f"{path}:{source.member}"
        frame = parse_frame(raw, where, guess_format(source.member) or entry.format)
    else:
        where = str(path)
        frame = read_frame(path, guess_format(path.name) or entry.format)
    interactions = build_interactions(frame, where, duplicates=duplicates)
    return Dataset(name, interactions, has_values="value" in frame)


def _verify(
    name: str, entry: NamedDataset, dataset: Dataset, found: list[Path], *, certain: bool
) -> None:
    used = dataset.interactions.without_unused_labels()
    counts = (used.n_users, used.n_items, len(used))
    wanted = (entry.users, entry.items, entry.interactions)
    content = content_checksum(dataset, times=False)
    if counts == wanted and (certain or entry.content in {None, content}):
        return
    others = [other for other, known in DATASETS.items() if known.content == content]
    difference = (
        f"it has {counts[0]} users, {counts[1]} items and {counts[2]} interactions instead of "
        f"{wanted[0]}, {wanted[1]} and {wanted[2]}"
        if counts != wanted
        else "the counts are right but pairs or values differ"
    )
    raise DataError(
        f"{', '.join(map(str, found))}: this is not the data set {name!r}: {difference}. "
        + (f"It is {others[0]!r}; use that name. " if others else "")
        + _leave(entry)
    )


def _leave(entry: NamedDataset) -> str:
    return (
        f"Local files are left alone: move them away to use another copy ({entry.homepage}), "
        f"or read them under a name of your own with `file` in the experiment."
    )


def missing_locally(name: str, data_dir: Path | None = None) -> str | None:
    """Say what `load_named` would have to download, or None if all of it is here."""
    for source in find_entry(name).sources:
        tried = list(_candidates(source, data_dir))
        if not any(path.is_file() for path in [*tried, *_cached(source)]):
            looked = f"looked for {', '.join(map(str, tried))}" if tried else "no data folder"
            return f"{source.local[0]} is not here ({looked}, and among earlier downloads)"
    return None


def find_entry(name: str) -> NamedDataset:
    """Return what is known of a named data set."""
    if name not in DATASETS:
        raise UnknownName("data set", name, DATASETS, "`recrepro ls datasets` describes them.")
    return DATASETS[name]
