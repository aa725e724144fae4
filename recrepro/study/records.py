"""The archived record of a whole experiment: one JSON file that can be read in a diff."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from recrepro.analysis.leaderboard import Row
from recrepro.analysis.verdict import BoardVerdict
from recrepro.durable import new_file
from recrepro.spec.experiment import Experiment, SplitSpec
from recrepro.spec.identity import Plain
from recrepro.store.records import Hindsight, Provenance, Record
from recrepro.store.results import Result
from recrepro.tables import formats


class StudyModel(Plain):
    """One model: hyperparameters, times and metrics; where it was tuned, what came of that."""

    model: str
    name: str
    params: dict[str, Any]
    fit_s: float
    score_s: float
    metrics: dict[str, float]
    family: str = ""
    status: str = ""
    spreads: dict[str, float] = Field({})
    intervals: dict[str, tuple[float, float]] = Field({})
    tune_s: float | None = None
    trials: int | None = None
    failed: int | None = None
    at_edge: list[str] = Field([])
    validation: float | None = None
    hindsight: Hindsight | None = None


class StudyValue(Plain):
    """An expected value beside the one that came out."""

    model: str
    metric: str
    expected: float
    published: float | None
    tolerance: float
    source: str
    note: str | None
    got: float | None
    difference: float | None
    verdict: Literal["ok", "off", "missing"]


class StudyRecord(Plain):
    """What an experiment with one data set and one split came to.

    `split` is its title with its options. The fields from `seeds` on are set where the experiment
    was tuned: `fits` counts the final fits of each search, `grid` is the hash of the experiment
    that was run (None in records older than the field), `hours` are those of one core, and `quick`
    marks a run on few users.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    experiment: str
    claim: str
    command: str
    dataset: str
    split: str
    users: int
    ranking: Literal["sampled", "full"]
    recrepro: str
    commit: str
    machine: str
    models: list[StudyModel]
    values: list[StudyValue]
    seeds: list[int] = Field([])
    fits: int = 1
    grid: str | None = None
    tuning: list[str] = Field([])
    audit: str | None = None
    hours: float = 0.0
    verdicts: list[BoardVerdict] = Field([])
    quick: bool = False

    def write(self, path: Path) -> None:
        """Write the record to its file."""
        # Infinite values, such as the effect size where all users differ alike, are constants.
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        with new_file(path) as draft:
            draft.write_text(text, encoding="utf-8")


def read_records(folder: Path) -> dict[str, StudyRecord]:
    """Return the records in a folder, by the name of their experiment."""
    found = [StudyRecord.model_validate_json(path.read_bytes()) for path in folder.glob("*.json")]
    return {record.experiment: record for record in sorted(found, key=lambda r: r.experiment)}


def split_in_words(split: SplitSpec) -> str:
    """Return the title of a split with the options that its experiment gives it."""
    options = ", ".join(f"{name} = {value}" for name, value in split.options.items())
    return f"{split.title} ({options})" if options else split.title


def archived(
    experiment: Experiment,
    name: str,
    results: Sequence[Result],
    command: str,
    *,
    quick: bool = False,
) -> StudyRecord | None:
    """Return what an experiment with one data set and split came to; None before its end.

    Parameters
    ----------
    experiment : Experiment
        The experiment as it was run.
    name : str
        Its name.
    results : sequence of Result
        Its cells.
    command : str
        The command line that ran it.
    quick : bool
        True for a run on few users.
    """
    cells = [result.record for result in results if result.record]
    if len(cells) < len(results):
        return None
    tuned = experiment.tune is not None
    (board,), values, verdicts = formats.contents(experiment, results, intervals=tuned)
    rows = {row.model: row for row in board.rows}
    first: dict[str, Record] = {}
    for cell in cells:
        first.setdefault(cell.name.model, cell)
    origins = [cell.provenance for cell in cells]
    more: dict[str, Any] = {"quick": True} if quick else {}
    if tuned:
        seconds = sum(lap.wall_s for cell in cells for lap in cell.times.values())
        more |= {
            "seeds": sorted({cell.name.seed for cell in cells}),
            "fits": experiment.evaluate.fits,
            "grid": experiment.grid_hash,
            "tuning": [note for note in board.notes if note.startswith("Tuned")],
            "audit": board.audit,
            "hours": round(seconds / 3600, 2),
            "verdicts": verdicts,
        }
    return StudyRecord(
        schema_version=1,
        experiment=name,
        claim=experiment.claim,
        command=command,
        dataset=board.dataset,
        split=split_in_words(experiment.splits[0]),
        users=board.users or 0,
        ranking="sampled" if board.sampled else "full",
        recrepro=_distinct(origin.recrepro for origin in origins),
        commit=_distinct(map(_commit, origins)),
        machine=_distinct(map(_machine, origins)),
        models=[
            StudyModel(
                model=model,
                name=cell.model.name,
                params=cell.model.params,
                fit_s=cell.times["fit"].wall_s,
                score_s=cell.times["score"].wall_s,
                metrics=rows[model].means,
                **(_of_tuning(cell, rows[model]) if tuned else {}),
            )
            for model, cell in first.items()
        ],
        values=[
            StudyValue(
                model=v.expected.model,
                metric=v.expected.metric,
                expected=v.expected.value,
                published=v.expected.published,
                tolerance=v.expected.tolerance,
                source=v.expected.source,
                note=v.expected.note,
                got=v.got,
                difference=None if v.got is None else v.got - v.expected.value,
                verdict=v.verdict,
            )
            for v in values
        ],
        **more,
    )


def _of_tuning(cell: Record, row: Row) -> dict[str, Any]:
    """Return the fields of a model that was tuned, or stands beside tuned ones."""
    search = cell.tuning
    fields: dict[str, Any] = {
        "family": cell.model.family,
        "status": row.status,
        "spreads": row.spreads,
        "intervals": {m: (c.low, c.high) for m, c in row.chance.items()},
        "tune_s": cell.times["tune"].wall_s if "tune" in cell.times else None,
        "trials": search and search.trials,
        "failed": search and search.failed,
        "at_edge": search.at_edge if search else [],
        "validation": search and search.best.value,
    }
    if cell.hindsight is not None:
        fields["hindsight"] = Hindsight(**cell.hindsight.model_dump(exclude={"curve"}))
    return fields


def _distinct(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _commit(origin: Provenance) -> str:
    if origin.code.commit is None:
        return "none"
    return f"{origin.code.commit[:7]}{' with changes' if origin.code.dirty else ''}"


def _machine(origin: Provenance) -> str:
    memory = round(origin.memory_bytes / 2**30)
    return f"{origin.cores} cores of {origin.processor}, {memory} GB, Python {origin.python}"
