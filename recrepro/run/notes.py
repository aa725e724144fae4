"""What is odd about an experiment and can be run all the same."""

from collections.abc import Iterator
from pathlib import Path

from recrepro.data.dataset import Dataset
from recrepro.evaluation.definitions import parse_metric
from recrepro.run.plan import Plan
from recrepro.spec.experiment import Experiment
from recrepro.spec.places import place

_UNITS = (("nanoseconds", 1e17), ("microseconds", 1e14), ("milliseconds", 1e11))
"""What times above a number must be in: as seconds since 1970, 1e11 is the year 5138."""

Note = tuple[tuple[str | int, ...], str]
"""A place in the experiment file, as in `RecreproError.location`, and what is odd there."""


def notes(plan: Plan) -> Iterator[Note]:
    """Yield what a user should know before the experiment is run."""
    for dataset in plan.datasets.values():
        yield from _cutoffs(plan, dataset)
        yield from _times(dataset)


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
    latest = int(times.max(initial=0)) if times is not None else 0
    unit = next((unit for unit, least in _UNITS if latest > least), None)
    if unit is not None:
        text = (
            f"the times of {dataset.name!r} look like {unit}: the latest is {latest}. Splits by "
            "time need their order only; but write moments and durations, such as the 'at' of a "
            f"temporal split, in {unit} too, or divide the column to have seconds."
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
