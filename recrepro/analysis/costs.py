"""What a model costs beside another: seconds, by a clock that fits both, and energy."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Literal

from recrepro.store.records import Record

Clock = Literal["processor", "wall"]

Ratio = float | None
"""None if one of the two costs is not known."""


def ratios(
    records: Sequence[Record], baseline: Sequence[Record]
) -> tuple[tuple[Ratio, Ratio, Ratio], Clock | None]:
    """Return what a model took for each unit of the baseline's cost.

    Parameters
    ----------
    records, baseline : sequence of Record
        Results of the two models in one table.

    Returns
    -------
    ratios : three floats or None
        Of the seconds of the final fit, of the seconds of the tuning, and of the joules that the
        machine took in the whole cell.
    clock : {"processor", "wall"} or None
        Which seconds these are; None if no ratio of seconds is known.
    """
    clock: Clock = "wall"
    if all(map(_has_processor_time, [*records, *baseline])):
        clock = "processor"
    costs = (_seconds("fit", clock), _seconds("tune", clock), lambda r: r.energy_joules)
    fit, tune, joules = (_ratio(records, baseline, cost) for cost in costs)
    return (fit, tune, joules), None if fit is tune is None else clock


def notes(records: Sequence[Record], baseline: Sequence[Record]) -> Iterable[str]:
    """Say what a reader of the ratios has to know."""
    if records[0].state != "external" and any(map(_used_gpu, [*records, *baseline])):
        yield "times are wall seconds, as a GPU was used"
    machines = {r.provenance.processor for r in [*records, *baseline]}
    if len(machines) > 1 and records[0].state != "external":
        yield "times are from different machines"


def _has_processor_time(record: Record) -> bool:
    """Say whether processor seconds tell what a cell took: they were kept, and no GPU worked."""
    laps = [record.times[lap] for lap in ("fit", "tune") if lap in record.times]
    return not _used_gpu(record) and all(lap.cpu_s is not None for lap in laps)


def _used_gpu(record: Record) -> bool:
    device = record.model.params.get("device", "auto")
    if device == "auto":  # or no such hyperparameter: recrepro's simple models use none
        return bool(record.provenance.gpus) and record.model.family != "simple"
    return bool(device != "cpu")


def _seconds(lap: str, clock: Clock) -> Callable[[Record], float | None]:
    def seconds(record: Record) -> float | None:
        spent = record.times.get(lap)
        if spent is None:
            return None
        return spent.cpu_s if clock == "processor" else spent.wall_s

    return seconds


def _ratio(
    records: Sequence[Record], baseline: Sequence[Record], cost: Callable[[Record], float | None]
) -> float | None:
    own, other = ([known for r in found if (known := cost(r))] for found in (records, baseline))
    if len(own) < len(records) or len(other) < len(baseline):
        return None
    return fmean(own) / fmean(other)
