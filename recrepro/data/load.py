"""From an experiment file's ``[[datasets]]`` table to a data set."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recrepro.data.catalogue.load import load_named, load_named_features, missing_locally, places_of
from recrepro.data.dataset import Dataset
from recrepro.data.filters import Filter, MinValue, make_filter
from recrepro.data.formats.files import read_bytes, unpacked_name
from recrepro.data.formats.read import build_interactions, read_frame, read_published
from recrepro.data.formats.side import Columns, FeatureLayout, Pairs
from recrepro.data.formats.times import settle_times
from recrepro.data.sessions import cut_sessions
from recrepro.data.synthetic import synthetic, synthetic_features
from recrepro.errors import DataError, UsageError, at
from recrepro.features import Features, FeatureSet
from recrepro.interactions import Interactions
from recrepro.labels import places
from recrepro.spec.experiment import DatasetSpec
from recrepro.text.words import count


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
    source = next((key for key in ("file", "train", "synthetic") if getattr(spec, key)), "name")
    with at(source):
        dataset = _read(spec, base, data_dir, progress=progress)
    _check_values(spec, dataset)
    filters: list[tuple[str, Filter]] = []
    if spec.min_value is not None:
        filters.append(("min-value", MinValue(value=spec.min_value)))
    filters += [(f.name, make_filter(f, f"data set {spec.name!r}")) for f in spec.filters]
    done: list[dict[str, Any]] = [{"step": "duplicates", "rule": spec.duplicates, "on": "all"}]
    if spec.session_gap is not None:
        done.insert(0, {"step": "sessions", "gap_s": spec.session_gap, "on": "all"})
    unit = dataset.time_unit
    dataset = dataset.with_each_part(lambda part: replace(part, time_unit=unit))
    if unit != "s":
        # Seconds are not recorded, so that what was made of such data keeps its identity.
        done.insert(0, {"step": "times", "unit": unit, "on": "all"})
    for name, step in filters:
        options = step.model_dump(mode="json", exclude={"on"})
        entry = {"step": name, **options, "on": step.on, "learns": step.learns}
        if step.on == "all":
            before = len(dataset.interactions)
            with at("min_value" if name == "min-value" and spec.min_value else "filters"):
                dataset = _apply(step, name, dataset)
            entry["removed"] = before - len(dataset.interactions)
        done.append(entry)
    if spec.values == "binary":
        dataset = dataset.with_each_part(Interactions.binarised)
    done.append({"step": "values", "rule": spec.values, "on": "all"})
    if dataset.published is None:
        dataset = replace(dataset, interactions=dataset.interactions.without_unused_labels())
    return replace(
        dataset,
        train_filters=tuple(step for _, step in filters if step.on == "train"),
        preprocessing=tuple(done),
    )


def _check_values(spec: DatasetSpec, dataset: Dataset) -> None:
    needs = ["min_value"] if spec.min_value is not None else []
    needs += ["min-value" for f in spec.filters if f.name == "min-value"]
    if spec.duplicates in ("max", "sum") and dataset.has_values is False:
        needs.append(f"duplicates = {spec.duplicates!r}")
    if needs and not dataset.has_values:
        own = spec.file is not None or spec.train is not None
        which = ", or say which column it is with columns = { value = '...' }" if own else ""
        both = " in all its parts" if dataset.published is not None else ""
        raise UsageError(
            f"{needs[0]!r} needs values, and the data set {spec.name!r} has none{both}. Take "
            f"{needs[0]!r} away{which}."
        )


def _apply(step: Filter, name: str, dataset: Dataset) -> Dataset:
    """Keep what a filter keeps of all parts together."""
    whole = dataset.interactions
    kept = whole.select(step.keep(whole))
    filtered = dataset.with_each_part(lambda part: part.select(part.in_common_with(kept)))
    parts = filtered.published.parts if filtered.published else {"": filtered.interactions}
    for part, left in parts.items():
        if not len(left):
            where = f"the {part} part of {dataset.name!r}" if part else repr(dataset.name)
            largest = f"; its largest value is {whole.values.max():g}" if len(whole) else ""
            raise UsageError(
                f"the filter {name!r} leaves nothing of {where}"
                f"{largest if name == 'min-value' else ''}. Weaken it, or take it away: it is "
                f"applied to {len(whole):,} interactions of {np.count_nonzero(whole.user_counts):,}"
                f" users with {np.count_nonzero(whole.item_counts):,} items."
            )
    return filtered


def _read(spec: DatasetSpec, base: Path, data_dir: Path | None, *, progress: bool) -> Dataset:
    columns: dict[str, str] = {str(ours): theirs for ours, theirs in spec.columns.items()}
    if spec.synthetic is not None:
        made = spec.synthetic
        interactions = synthetic(made.users, made.items, made.interactions, seed=made.seed)
        return Dataset(spec.name, interactions, has_values=False)
    if spec.file is not None:
        path = base / spec.file
        frame = read_frame(path, spec.format, columns)
        unit = settle_times([frame], spec.time_unit)
        if spec.session_gap is not None:
            frame = cut_sessions(frame, spec.session_gap)
        interactions = build_interactions(frame, str(path), duplicates=spec.duplicates)
        return Dataset(spec.name, interactions, has_values="value" in frame, time_unit=unit)
    if spec.train is not None and spec.test is not None:
        negatives = base / spec.negatives if spec.negatives is not None else None
        return read_published(
            spec.name,
            base / spec.train,
            base / spec.test,
            negatives,
            spec.format,
            columns,
            validation=base / spec.validation if spec.validation is not None else None,
            duplicates=spec.duplicates,
            time_unit=spec.time_unit,
        )
    return load_named(
        spec.name,
        data_dir,
        duplicates=spec.duplicates,
        session_gap=spec.session_gap,
        progress=progress,
    )


def load_features(
    spec: DatasetSpec, base: Path, data_dir: Path | None = None, *, progress: bool = True
) -> Features:
    """Load the side information of a data set: what a named one brings, and files beside it.

    Its rows have labels of their own; `Features.aligned` puts them into the order of others.

    Parameters
    ----------
    spec, base, data_dir, progress
        As in `load_dataset`.

    Raises
    ------
    UsageError, DataError
        As `load_dataset`.
    """
    sets: dict[tuple[str, str], FeatureSet] = {}
    own = spec.file is not None or spec.train is not None
    if spec.synthetic is not None:
        made = spec.synthetic
        known = synthetic_features(made.users, made.items, made.interactions, seed=made.seed)
    elif own:
        known = Features()
    else:
        known = load_named_features(spec.name, data_dir, progress=progress)
    for one in known.sets:
        sets[one.side, one.name] = one
    for described in spec.features:
        path = base / described.file
        mark = "\t" if unpacked_name(path.name).endswith(".tsv") else ","
        layout: FeatureLayout = Pairs(delimiter=mark, header=True)
        if described.layout == "columns":
            take, numeric = described.columns, described.numeric
            layout = Columns(take=take, header=True, delimiter=mark, numeric=numeric)
        rows = layout.read(read_bytes(path), str(path))
        key = (described.side, described.name)
        sets[key] = FeatureSet(*key, rows.ids, rows.matrix, rows.columns, described.links)
    return Features(tuple(sets.values()))


def match_features(
    spec: DatasetSpec, features: Features, interactions: Interactions, base: Path
) -> Features:
    """Give features the rows of the users and items of a data set.

    Parameters
    ----------
    spec : DatasetSpec
        The data set as the experiment file says.
    features : Features
        From `load_features`.
    interactions : Interactions
        Of the data set.
    base : Path
        As in `load_features`.

    Raises
    ------
    DataError
        If no label of a file beside the data is one of theirs.
    """
    aligned = features.aligned(interactions.user_ids, interactions.item_ids)
    ids = {"user": interactions.user_ids, "item": interactions.item_ids}
    for number, described in enumerate(spec.features):
        one = features.of(described.side)[described.name]
        if len(one.ids) and (places(ids[described.side], one.ids) < 0).all():
            with at("features", number, "file"):
                raise DataError(
                    f"{base / described.file}: none of its {count(len(one.ids), 'label')} is "
                    f"{'a user' if described.side == 'user' else 'an item'} of {spec.name!r}: "
                    f"{_some(one.ids)} there, {_some(ids[described.side])} in the data. Labels "
                    "must be those of the data; is it the right file, side or column?"
                )
    return aligned


def _some(labels: NDArray[Any]) -> str:
    return ", ".join(repr(str(label))[:40] for label in labels[:3].tolist())


def raw_places(spec: DatasetSpec, base: Path, data_dir: Path | None = None) -> list[Path]:
    """Return the files and folders that hold a data set as it is before it is split.

    Parameters
    ----------
    spec, base, data_dir
        As in `load_dataset`.
    """
    own = [base / name for name in spec.own_files]
    named = spec.file is None and spec.train is None and spec.synthetic is None
    return [*own, *places_of(spec.name, data_dir)] if named else own


def unavailable(spec: DatasetSpec, data_dir: Path | None = None) -> str | None:
    """Say why a data set could not be loaded without a download; None if it could."""
    if spec.file is not None or spec.train is not None or spec.synthetic is not None:
        return None
    with at("datasets", spec.name, "name"):
        return missing_locally(spec.name, data_dir)
