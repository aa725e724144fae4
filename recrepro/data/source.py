"""From an experiment file's ``[[datasets]]`` table to a data set."""

from dataclasses import replace
from pathlib import Path

from recrepro.data.catalogue import load_named, missing_locally
from recrepro.data.dataset import Dataset, PublishedSplit
from recrepro.data.formats import build_interactions, read_frame, read_published
from recrepro.data.synthetic import synthetic
from recrepro.errors import UsageError
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

    Raises
    ------
    UsageError
        If the experiment file asks for what the data do not have.
    DataError
        If a file is not what it should be.
    """
    dataset = _read(spec, base, data_dir, progress=progress)
    if spec.min_value is not None and not dataset.has_values:
        own = spec.file is not None or spec.train is not None
        which = ", or say which column it is with columns = { value = '...' }" if own else ""
        both = " in both train and test" if dataset.published is not None else ""
        raise UsageError(
            f"'min_value' needs values, and the data set {spec.name!r} has none{both}. Take "
            f"'min_value' away{which}."
        )
    split = dataset.published
    if split is None:
        kept = _filtered(dataset.interactions, spec, "the data set")
        return replace(dataset, interactions=kept.without_unused_labels())
    train = _filtered(split.train, spec, "the train part of")
    test = _filtered(split.test, spec, "the test part of")
    published = PublishedSplit(train, test, split.negatives)
    return replace(dataset, interactions=train.union(test), published=published)


def _read(spec: DatasetSpec, base: Path, data_dir: Path | None, *, progress: bool) -> Dataset:
    columns: dict[str, str] = {str(ours): theirs for ours, theirs in spec.columns.items()}
    if spec.synthetic is not None:
        made = spec.synthetic
        interactions = synthetic(made.users, made.items, made.interactions, seed=made.seed)
        return Dataset(spec.name, interactions, has_values=False)
    if spec.file is not None:
        path = base / spec.file
        frame = read_frame(path, spec.format, columns)
        return Dataset(spec.name, build_interactions(frame, str(path)), has_values="value" in frame)
    if spec.train is not None and spec.test is not None:
        negatives = base / spec.negatives if spec.negatives is not None else None
        return read_published(
            spec.name, base / spec.train, base / spec.test, negatives, spec.format, columns
        )
    return load_named(spec.name, data_dir, progress=progress)


def _filtered(interactions: Interactions, spec: DatasetSpec, what: str) -> Interactions:
    if spec.min_value is not None:
        kept = interactions.select(interactions.values >= spec.min_value)
        if not len(kept):
            raise UsageError(
                f"'min_value' = {spec.min_value:g} leaves nothing of {what} {spec.name!r}: its "
                f"largest value is {interactions.values.max():g}. Lower 'min_value'."
            )
        interactions = kept
    return interactions.binarised() if spec.values == "binary" else interactions


def unavailable(spec: DatasetSpec, data_dir: Path | None = None) -> str | None:
    """Say why a data set could not be loaded without a download; None if it could."""
    if spec.file is not None or spec.train is not None or spec.synthetic is not None:
        return None
    return missing_locally(spec.name, data_dir)
