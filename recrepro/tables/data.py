"""Tables for programs: CSV and JSON, unrounded."""

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard
from recrepro.analysis.verdict import BoardVerdict
from recrepro.spec.identity import Plain
from recrepro.tables import verdicts as judgements
from recrepro.text.clean import clean

COLUMNS = (
    *("dataset", "split", "ranking", "audit", "model", "status", "role", "metric"),
    *("mean", "std"),
    *("low", "high", "p_best", "p_reference", "repeats", "reopened", "trials", "notes"),
)


def cell_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    Excel, LibreOffice and Google Sheets compute what starts with one of these characters; an
    apostrophe in front says that it is text.
    """
    plain = clean(text)
    return f"'{plain}" if plain.startswith(tuple("=+-@\t\n")) else plain


def write_csv(
    boards: list[Leaderboard],
    _verdicts: list[ExpectationCheck],
    _judged: list[BoardVerdict],
) -> str:
    """Write one line for each model and metric."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for board in boards:
        ranking = "sampled" if board.sampled else "full"
        split = [board.dataset, board.split, ranking, board.audit or ""]
        for row in board.shown:
            for metric in board.metrics:
                place = [*split, row.model, row.status, row.role or "", metric]
                chance = row.chance.get(metric)
                values = [row.means.get(metric), row.spreads.get(metric)]
                values += [
                    getattr(chance, name, None) for name in ("low", "high", "p_best", "p_reference")
                ]
                notes = "; ".join(row.notes)
                writer.writerow(
                    [
                        *map(cell_text, place),
                        *("" if value is None else value for value in values),
                        *(row.repeats, row.reopened, " ".join(map(str, row.trials))),
                        cell_text(notes),
                    ]
                )
    return buffer.getvalue()


def write_json(
    boards: list[Leaderboard], verdicts: list[ExpectationCheck], judged: list[BoardVerdict]
) -> str:
    """Write everything that the tables hold."""
    content: dict[str, Any] = {
        "leaderboards": [asdict(board) for board in boards],
        "expected": [
            {
                **v.expected.model_dump(mode="json"),
                "dataset": v.dataset,
                "split": v.split,
                "got": v.got,
                "reopened": v.reopened,
                "verdict": v.verdict,
            }
            for v in verdicts
        ],
        "verdicts": judgements.as_json(judged),
    }
    return json.dumps(content, indent=1, default=Plain.to_json)
