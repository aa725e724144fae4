"""What is odd about an experiment and can be run all the same."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from recrepro.data.dataset import Dataset
from recrepro.data.formats.times import NAMES
from recrepro.evaluation.definitions import parse_metric
from recrepro.interactions import UNKNOWN_TIME, sorting_order
from recrepro.run.plan import Plan
from recrepro.run.resolve import learns_from
from recrepro.spec.experiment import Experiment
from recrepro.spec.places import place

Note = tuple[tuple[str | int, ...], str]
"""A place in the experiment file, as in `RecreproError.location`, and what is odd there."""


def notes(plan: Plan) -> Iterator[Note]:
    """Yield what a user should know before the experiment is run."""
    stated = {spec.name for spec in plan.experiment.datasets if spec.time_unit is not None}
    for dataset in plan.datasets.values():
        yield from _cutoffs(plan, dataset)
        if dataset.name not in stated:
            yield from _times(dataset)
        yield from _order(plan, dataset)


def _cutoffs(plan: Plan, dataset: Dataset) -> Iterator[Note]:
    """Note cutoffs above the number of items.

    They are no error: each list ends with the items, so that the metric is defined, and a small
    sample of data is run with the cutoffs that are meant for all of it.
    """
    n_items = len(plan.items) if isinstance(plan.items, list) else dataset.interactions.n_items
    metrics = [parse_metric(name) for name in plan.experiment.evaluate.metrics]
    large = [metric for metric in metrics if metric.k is not None and metric.k > n_items]
    if large:
        smaller = f"{large[0].definition.id}@{min(10, n_items)}"
        text = (
            f"{' and '.join(metric.name for metric in large)}: the cutoff is larger than the "
            f"number of items of {dataset.name!r}, {n_items:,}, so that each list ends before it. "
            f"Write a smaller one, such as {smaller}."
        )
        yield ("evaluate", "metrics"), text


def _times(dataset: Dataset) -> Iterator[Note]:
    """Note times that are no seconds."""
    times = dataset.interactions.times
    if times is not None and dataset.time_unit != "s":
        unit = NAMES[dataset.time_unit]
        text = (
            f"the times of {dataset.name!r} look like {unit}: the latest is "
            f"{times.max(initial=0)}. Write moments, such as the 'at' of a temporal split, in "
            f"{unit} too. If the column has another unit, say so with time_unit."
        )
        yield ("datasets", dataset.name), text


def _order(plan: Plan, dataset: Dataset) -> Iterator[Note]:
    """Note times that are an order only, or that do not tell the order within a day.

    Nothing is noted where neither a split nor a model goes by them; a cut at one moment for all
    users does not go by the order within a day.
    """
    interactions = dataset.interactions
    orders = {splitter.order for splitter in plan.splitters.values()}
    learnt = (learns_from(plan.models[spec.title], spec) for spec in plan.experiment.models)
    by_user = "user" in orders or not {"order", "times"}.isdisjoint(chain.from_iterable(learnt))
    if interactions.times is None or not (by_user or "global" in orders):
        return
    known = interactions.times != UNKNOWN_TIME
    times, users = interactions.times[known], interactions.users[known]
    day = interactions.day
    if not len(times):
        return
    if times.min() >= 0 and times.max() < day:
        text = (
            f"the times of {dataset.name!r} are only an order, from {times.min()} to "
            f"{times.max()}: they order the interactions of a user, but no moment is the same for "
            "two users. Cuts at one moment, and models that use the times themselves, mean little "
            "here."
        )
        yield ("datasets", dataset.name), text
    elif by_user and not (times % day).any():
        order = sorting_order(users, times)
        same = (np.diff(users[order]) == 0) & (np.diff(times[order]) == 0)
        tied = np.append(same, False) | np.append(False, same)
        text = (
            f"the times of {dataset.name!r} are days: {tied.mean():.0%} of the interactions share "
            "their day with another one of the same user, and their order is drawn at random."
        )
        yield ("datasets", dataset.name), text


def placed_notes(path: Path, experiment: Experiment, plan: Plan) -> tuple[str, ...]:
    """Return the notes with the file and line that each is about.

    Parameters
    ----------
    path : Path
        The experiment file.
    experiment : Experiment
        The whole experiment, of which the plan may have some data sets only.
    plan : Plan
        What is going to be run.
    """
    return tuple(f"note: {place(path, experiment, where)}: {text}" for where, text in notes(plan))
