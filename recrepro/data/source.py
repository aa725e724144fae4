"""From an experiment file's ``[[datasets]]`` table to a data set."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from recrepro.data.catalogue import load_named, missing_locally
from recrepro.data.dataset import Dataset, PublishedSplit
from recrepro.data.formats import read_interactions, read_published
from recrepro.data.synthetic import synthetic
from recrepro.errors import DataError
from recrepro.experiment import DatasetSpec
from recrepro.interactions import Interactions


def load_dataset(
    spec: DatasetSpec, base: Path, data_dir: Path | None = None, *, progress: bool = True
) -> Dataset:
    """Load a data set and apply its filters, which run before the split.

    Parameters
    ----------
    spec : DatasetSpec
        As the experiment file says.
    base : Path
        Folder that relative file names start from: that of the experiment file.
    data_dir : Path, optional
        Folder with local copies of named data sets.
    progress : bool
        Whether a download may draw a progress bar.
    """
    dataset = _read(spec, base, data_dir, progress=progress)
    return _map_parts(dataset, lambda part: _filtered(part, spec))


def _read(spec: DatasetSpec, base: Path, data_dir: Path | None, *, progress: bool) -> Dataset:
    columns: dict[str, str] = {str(ours): theirs for ours, theirs in spec.columns.items()}
    if spec.synthetic is not None:
        made = spec.synthetic
        return Dataset(
            spec.name,
            synthetic(made.users, made.items, made.interactions, seed=made.seed),
        )
    if spec.file is not None:
        path = base / spec.file
        return Dataset(spec.name, read_interactions(path, spec.format, columns))
    if spec.train is not None and spec.test is not None:
        negatives = base / spec.negatives if spec.negatives is not None else None
        return read_published(
            spec.name, base / spec.train, base / spec.test, negatives, spec.format, columns
        )
    return load_named(spec.name, data_dir, progress=progress)


def _filtered(interactions: Interactions, spec: DatasetSpec) -> Interactions:
    if spec.min_value is not None:
        interactions = interactions.select(interactions.values >= spec.min_value)
        if not len(interactions):
            raise DataError(
                f"the data set {spec.name!r} has no interaction with a value of at least "
                f"{spec.min_value}: lower 'min_value'."
            )
    return interactions.binarised() if spec.values == "binary" else interactions


def _map_parts(dataset: Dataset, change: Callable[[Interactions], Interactions]) -> Dataset:
    if dataset.published is None:
        return replace(dataset, interactions=change(dataset.interactions).without_unused_labels())
    published = PublishedSplit(
        change(dataset.published.train),
        change(dataset.published.test),
        dataset.published.negatives,
    )
    return Dataset(dataset.name, published.train.union(published.test), published)


def unavailable(spec: DatasetSpec, data_dir: Path | None = None) -> str | None:
    """Say why a data set could not be loaded without a download; None if it could."""
    if spec.file is not None or spec.train is not None or spec.synthetic is not None:
        return None
    return missing_locally(spec.name, data_dir)
