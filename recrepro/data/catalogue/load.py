"""Loading a data set by its name, and making sure that it is the right one."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from recrepro.data.catalogue import DATASETS, NamedDataset, Source, find_entry
from recrepro.data.catalogue.archives import is_archive, read_members
from recrepro.data.catalogue.fetch import cache_folder, download_path, fetch
from recrepro.data.dataset import Dataset, content_checksum
from recrepro.data.formats.files import read_bytes
from recrepro.data.formats.parse import parse_frame
from recrepro.data.formats.read import (
    build_interactions,
    build_published,
    guess_format,
    parse_negatives,
    read_frame,
)
from recrepro.data.formats.times import settle_times, time_unit_of
from recrepro.data.sessions import cut_sessions
from recrepro.errors import DataError, UsageError
from recrepro.features import Features, FeatureSet
from recrepro.interactions import Duplicates, Interactions

_MB = 1_000_000
_UNPACKED = 10
"""A file in an archive may be this many times larger than the archive may be."""


@dataclass(frozen=True)
class _Found:
    """Where a part of a data set lies."""

    source: Source
    paths: tuple[Path, ...]
    fetched: bool

    def __str__(self) -> str:
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        return f"{self.paths[0]}{more}"


def load_named(
    name: str,
    data_dir: Path | None = None,
    *,
    duplicates: Duplicates = "last",
    session_gap: float | None = None,
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
    session_gap : float, optional
        Seconds, as in `cut_sessions`; only for data sets without published parts.
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
    if session_gap is not None and set(entry.sources) != {"interactions"}:
        raise UsageError(
            f"{name!r} is a published split, whose users cannot be cut into sessions. Take "
            "'session_gap' away."
        )
    found = {
        part: _locate(entry, source, data_dir, progress=progress)
        for part, source in entry.sources.items()
    }
    try:
        frames = {part: _frame(entry, part, where) for part, where in found.items()}
        dataset = _with_all_items(_build(name, frames, found, "last"), entry.numbered_items)
        rows = sum(len(frame) for part, frame in frames.items() if part != "negatives")
        _verify(name, entry, dataset, found, rows)
        # What the table says of a data set holds for the usual rule, and for users.
        if duplicates == "last" and session_gap is None:
            return dataset
        if session_gap is not None:
            frames = {"interactions": cut_sessions(frames["interactions"], session_gap)}
        return _with_all_items(_build(name, frames, found, duplicates), entry.numbered_items)
    except (DataError, UsageError) as error:
        for where in found.values():
            if where.fetched and where.source.checksum is None:
                where.paths[0].unlink()
        if isinstance(error, DataError):
            raise
        # The columns of a known data set are known: with others it is another file.
        raise DataError(f"this is not the data set {name!r}: {error} {_leave(entry)}") from error


def load_named_features(
    name: str, data_dir: Path | None = None, *, progress: bool = True
) -> Features:
    """Load all side information of a named data set, as `load_named` its interactions.

    Raises
    ------
    DataError
        If a part cannot be had, or what was found is not it.
    """
    entry = find_entry(name)
    sets = []
    for title, wanted in entry.features.items():
        found = _locate(entry, wanted.source, data_dir, progress=progress)
        raw = b"".join(content for _, content in _contents(found.source, found.paths[0]))
        rows = wanted.layout.read(raw, str(found))
        one = FeatureSet(wanted.side, title, rows.ids, rows.matrix, rows.columns, wanted.links)
        if wanted.content not in {None, one.fingerprint}:
            n_rows, n_columns = rows.matrix.shape
            raise DataError(
                f"{found}: these are not the {wanted.side} features {title!r} of {name!r}: their "
                f"content differs ({n_rows} x {n_columns}, {rows.matrix.nnz} values). "
                f"{_leave(entry)}"
            )
        sets.append(one)
    return Features(tuple(sets))


def _folders(data_dir: Path | None) -> list[Path]:
    named = os.environ.get("RECREPRO_DATA")
    return [folder for folder in (data_dir, Path(named) if named else None) if folder]


def places_of(name: str, data_dir: Path | None) -> list[Path]:
    """Return where the raw files of a named data set are, or may come to be.

    These are its local copies, the folders that they are looked for in, and the cache of downloads.
    """
    sources = find_entry(name).sources.values()
    copies = [path for source in sources for path in _local(source, data_dir)]
    return [*copies, *_folders(data_dir), cache_folder()]


def _archives(source: Source) -> dict[str, str]:
    """Return the archives that a part may come in, and what to read from each."""
    served = {source.url.rpartition("/")[2]: source.member} if source.member else {}
    return {**served, **source.archives}


def _candidates(source: Source, data_dir: Path | None) -> Iterator[Path]:
    for folder in _folders(data_dir):
        for local in source.local:
            for ending in ("", ".gz", ".bz2"):
                yield folder / f"{local}{ending}"
        for archive in _archives(source):
            yield folder / archive
            yield (folder / source.local[0]).parent / archive


def _present(path: Path) -> tuple[Path, ...]:
    """Return the file of this name, or all that match it; nothing if there is none."""
    if "*" in path.name:
        return tuple(sorted(found for found in path.parent.glob(path.name) if found.is_file()))
    return (path,) if path.is_file() else ()


def _local(source: Source, data_dir: Path | None) -> tuple[Path, ...]:
    for path in _candidates(source, data_dir):
        if paths := _present(path):
            return paths
    return ()


def _looked(source: Source, data_dir: Path | None) -> str:
    tried = list(_candidates(source, data_dir))
    return f"looked for {', '.join(map(str, tried))}" if tried else "no data folder is given"


def _locate(
    entry: NamedDataset, source: Source, data_dir: Path | None, *, progress: bool
) -> _Found:
    if paths := _local(source, data_dir):
        return _Found(source, paths, fetched=False)
    looked = _looked(source, data_dir)
    looked = f"{looked[0].upper()}{looked[1:]}."
    if not source.url:
        as_archive = "".join(f", or the archive {name}" for name in source.archives)
        raise DataError(
            f"{entry.title} is not here, and there is no address to download it from. {looked} Get "
            f"it from {entry.homepage}, put it below a folder as {source.local[0]}{as_archive}, "
            f"and pass that folder with --data DIR (or RECREPRO_DATA)."
        )
    try:
        limit = source.limit_mb * _MB
        path = fetch(source.url, source.checksum, size_limit=limit, progress=progress)
    except DataError as error:
        raise DataError(
            f"{error} There it belongs at {source.local[0]}. {looked} Home page: {entry.homepage}."
        ) from error
    return _Found(source, (path,), fetched=True)


def _frame(entry: NamedDataset, part: str, found: _Found) -> pd.DataFrame:
    """Read a part, from however many files."""
    frames = [frame for path in found.paths for frame in _frames(entry, part, found.source, path)]
    if len(frames) == 1:
        return frames[0]
    settle_times(frames)
    whole = pd.concat(frames, ignore_index=True)
    whole.attrs |= frames[0].attrs
    return whole


def _frames(entry: NamedDataset, part: str, source: Source, path: Path) -> Iterator[pd.DataFrame]:
    def fmt(name: str) -> str:
        return source.format or guess_format(name) or entry.format

    # Some splits hold users whose train part is empty; what is known of the data set is checked.
    empty = part != "interactions"
    if is_archive(path) and _archives(source):
        for name, raw in _contents(source, path):
            where = f"{path}:{name}"
            yield parse_frame(raw, where, fmt(name), source.columns, allow_empty_users=empty)
    elif part == "negatives":
        yield parse_negatives(read_bytes(path), str(path))
    else:
        yield read_frame(path, fmt(path.name), source.columns, allow_empty_users=empty)


def _contents(source: Source, path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of what belongs to a part, in an archive or a file of its own."""
    archives = _archives(source)
    if not (is_archive(path) and archives):
        yield path.name, read_bytes(path)
        return
    # The cache puts something before the names of what it keeps.
    pattern = next((p for name, p in archives.items() if path.name.endswith(name)), "")
    yield from read_members(path, pattern or source.member, source.limit_mb * _MB * _UNPACKED)


def _build(
    name: str, frames: dict[str, pd.DataFrame], found: dict[str, _Found], duplicates: Duplicates
) -> Dataset:
    where = {part: str(at) for part, at in found.items()}
    if "interactions" in frames:
        frame = frames["interactions"]
        interactions = build_interactions(frame, where["interactions"], duplicates=duplicates)
        unit = time_unit_of(frame)
        return Dataset(name, interactions, has_values="value" in frame, time_unit=unit)
    parts = {part: frame for part, frame in frames.items() if part != "negatives"}
    return build_published(name, parts, where, frames.get("negatives"), duplicates=duplicates)


def _with_all_items(dataset: Dataset, n_items: int | None) -> Dataset:
    """Add the items that are in no interaction, if it is known how many there are in all.

    Negatives that were published would need them, too: no such data set has any.
    """
    if n_items is None:
        return dataset

    def with_all(part: Interactions) -> Interactions:
        numbers = part.item_ids[part.items].astype(np.int32)
        return replace(part, items=numbers, item_ids=np.arange(n_items))

    return dataset.with_each_part(with_all)


def _verify(
    name: str, entry: NamedDataset, dataset: Dataset, found: dict[str, _Found], rows: int
) -> None:
    used = dataset.interactions.without_unused_labels()
    holds = {"users": used.n_users, "items": used.n_items, "interactions": len(used), "rows": rows}
    wanted = {"users": entry.users, "items": entry.items, "interactions": entry.interactions}
    wanted |= {"rows": entry.rows}
    known = {what: count for what, count in wanted.items() if count is not None}
    content = content_checksum(dataset, times=False)
    right = all(holds[what] == count for what, count in known.items())
    # What came with the right SHA-256 is the published data, whatever our table says of it. An
    # MD5 tells an accident, and no intent: it does not count here.
    certain = all(
        where.fetched and (where.source.checksum or "").startswith("sha256:")
        for where in found.values()
    )
    if right and (certain or entry.content in {None, content}):
        return
    others = [other for other, also in DATASETS.items() if also.content == content]
    difference = (
        "the counts are right but pairs or values differ"
        if right
        else f"it has {_listed({what: holds[what] for what in known})} instead of "
        f"{_listed(known, named=False)}"
    )
    raise DataError(
        f"{', '.join(map(str, found.values()))}: this is not the data set {name!r}: {difference}. "
        + (f"It is {others[0]!r}; use that name. " if others else "")
        + _leave(entry)
    )


def _listed(counts: dict[str, int], *, named: bool = True) -> str:
    cells = [f"{count} {what}" if named else str(count) for what, count in counts.items()]
    return " and ".join([", ".join(cells[:-1]), cells[-1]] if len(cells) > 1 else cells)


def _leave(entry: NamedDataset) -> str:
    return (
        f"Local files are left alone: move them away to use another copy ({entry.homepage}), "
        f"or read them under a name of your own with `file` in the experiment."
    )


def missing_locally(name: str, data_dir: Path | None = None) -> str | None:
    """Say what `load_named` would have to download, or None if all of it is here."""
    for source in find_entry(name).sources.values():
        cached = source.url and download_path(source.url).is_file()
        if not cached and not _local(source, data_dir):
            looked = _looked(source, data_dir)
            return f"{source.local[0]} is not here ({looked}, and among earlier downloads)"
    return None
