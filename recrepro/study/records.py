"""What is kept of an experiment in a repository: one JSON file that can be read in a diff."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from recrepro.analysis.leaderboard import Row
from recrepro.spec.experiment import Experiment
from recrepro.store.records import Provenance, Record
from recrepro.store.results import Result
from recrepro.tables import formats
from recrepro.tables import verdicts as judgements

Kept = dict[str, Any]


def kept(experiment: Experiment, name: str, results: Sequence[Result], command: str) -> Kept | None:
    """Return what an experiment with one data set and split came to; None before its end.

    Parameters
    ----------
    experiment : Experiment
        As it was run.
    name : str
        What it is called.
    results : sequence of Result
        Its cells.
    command : str
        What it was run with.

    Returns
    -------
    dict or None
        ``models`` with hyperparameters, times, metrics and intervals of each, ``values`` with what
        was expected, ``verdicts`` on neural models; machine, version and commit.
    """
    cells = [result.record for result in results if result.record]
    if len(cells) < len(results):
        return None
    boards, values, verdicts = formats.contents(
        experiment, results, intervals=experiment.tune is not None
    )
    (board,) = boards
    rows = {row.model: row for row in board.rows}
    first: dict[str, Record] = {}
    for cell in cells:
        first.setdefault(cell.name.model, cell)
    origins = [cell.provenance for cell in cells]
    record: Kept = {
        "experiment": name,
        "claim": experiment.claim,
        "command": command,
        "dataset": board.dataset,
        "split": board.split,
        "users": board.users,
        "ranking": "sampled" if board.sampled else "full",
        "recrepro": _distinct(origin.recrepro for origin in origins),
        "commit": _distinct(_commit(origin) for origin in origins),
        "machine": _distinct(_machine(origin) for origin in origins),
        "models": [
            {
                "model": model,
                "name": cell.model.name,
                "params": cell.model.params,
                "fit_s": cell.times["fit"].wall_s,
                "score_s": cell.times["score"].wall_s,
                "metrics": rows[model].means,
                **_of_tuning(cell, rows[model], experiment),
            }
            for model, cell in first.items()
        ],
        "values": [
            {
                "model": v.expected.model,
                "metric": v.expected.metric,
                "expected": v.expected.value,
                "published": v.expected.published,
                "tolerance": v.expected.tolerance,
                "source": v.expected.source,
                "note": v.expected.note,
                "got": v.got,
                "difference": None if v.got is None else v.got - v.expected.value,
                "verdict": v.verdict,
            }
            for v in values
        ],
    }
    if experiment.tune is not None:
        seconds = sum(lap.wall_s for cell in cells for lap in cell.times.values())
        record |= {
            "seeds": sorted({cell.name.seed for cell in cells}),
            "tuning": [note for note in board.notes if note.startswith("Tuned")],
            "audit": board.audit,
            "hours": round(seconds / 3600, 2),
            "verdicts": judgements.as_json(verdicts)["boards"],
        }
    return record


def _of_tuning(cell: Record, row: Row, experiment: Experiment) -> dict[str, Any]:
    if experiment.tune is None:
        return {}
    tuning = cell.tuning
    about: dict[str, Any] = {
        "family": cell.model.family,
        "status": row.status,
        "spreads": row.spreads,
        "intervals": {m: [c.low, c.high] for m, c in row.chance.items()},
        "tune_s": cell.times["tune"].wall_s if "tune" in cell.times else None,
        "trials": tuning and tuning.trials,
        "failed": tuning and tuning.failed,
        "at_edge": tuning.at_edge if tuning else [],
        "validation": tuning and tuning.best.value,
    }
    if cell.hindsight is not None:
        about["hindsight"] = cell.hindsight.model_dump(exclude={"curve"})
    return about


def write(path: Path, record: Kept) -> None:
    """Write a record to its file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8")


def _distinct(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _commit(origin: Provenance) -> str:
    if origin.code.commit is None:
        return "none"
    return f"{origin.code.commit[:7]}{' with changes' if origin.code.dirty else ''}"


def _machine(origin: Provenance) -> str:
    memory = round(origin.memory_bytes / 2**30)
    return f"{origin.cores} cores of {origin.processor}, {memory} GB, Python {origin.python}"
