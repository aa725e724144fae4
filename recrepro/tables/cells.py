"""What all formats show alike: headings, numbers, marks and notes."""

from recrepro.analysis.inference import LEVEL
from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard, Row
from recrepro.analysis.notes import reopened_note

NOT_TUNED = ("searched", "fixed", "untuned", "external", "failed", "running", "not run", "printed")
"""States of a model that a reader must not take for tuned and tested."""


def heading(board: Leaderboard) -> str:
    """Return what a table is called: data, split, users, ranking, and a verdict if not clean."""
    users = "" if board.users is None else f", {board.users:,} users"
    ranking = {True: " (sampled ranking", False: " (full ranking", None: " (no result yet"}
    audit = f", {board.audit.upper()}" if board.audit not in (None, "clean") else ""
    return f"{board.dataset} · {board.split}{ranking[board.sampled]}{users}{audit})"


def number(row: Row, metric: str) -> str:
    """Return a value with four digits, with its spread over repeats if there are several."""
    if metric not in row.means:
        return "-"
    spread = f" ± {row.spreads[metric]:.4f}" if metric in row.spreads else ""
    return f"{row.means[metric]:.4f}{spread}"


def is_best(row: Row, metric: str, best: dict[str, float]) -> bool:
    """Say whether a value is the best of its column; printed values are not compared."""
    return metric in best and row.status != "printed" and row.means.get(metric) == best[metric]


def p_text(p: float) -> str:
    """Return a p-value with three digits; smaller ones are said to be so."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def first_cutoff(board: Leaderboard) -> str:
    """Return ``@10`` of the first metric that has a cutoff; empty if none has."""
    return next((at + k for _, at, k in (m.partition("@") for m in board.metrics) if at), "")


def group_cells(board: Leaderboard, by: str) -> tuple[list[str], dict[str, list[str]]]:
    """Return the columns, and the cells of each model, of a table of values by group.

    Parameters
    ----------
    board : Leaderboard
        Its first metric is shown of users; of items, the recall at the first cutoff.
    by : {"activity", "popularity"}
        Users by their activity, or items by their popularity; of the first repeat.
    """
    columns: list[str] = []
    values: dict[str, list[float | None]] = {}
    for row in board.rows:
        if row.groups is None:
            continue
        if by == "activity":
            users = row.groups.activity
            values[row.model] = [group.means.get(board.metrics[0]) for group in users]
            ranges = ["-".join(map(str, dict.fromkeys(group.activity))) for group in users]
            names = [f"{r}, {g.users:,} users" for r, g in zip(ranges, users, strict=True)]
        else:
            items, cutoff = row.groups.popularity, first_cutoff(board)
            values[row.model] = [group.recall.get(cutoff) for group in items]
            names = [f"{group.group}, {group.held_out:,} held out" for group in items]
        columns = columns or names
    return columns, {
        model: ["-" if value is None else f"{value:.4f}" for value in found]
        for model, found in values.items()
    }


def verdict_cells(verdict: ExpectationCheck) -> dict[str, str]:
    """Return a verdict as the cells of a table row, by column name."""
    expected, got = verdict.expected, verdict.got
    notes = [reopened_note(verdict.reopened)] if verdict.reopened else []
    return {
        "model": expected.model,
        "metric": expected.metric,
        "published": "" if expected.published is None else f"{expected.published:.4f}",
        "expected": f"{expected.value:.4f}",
        "got": "-" if got is None else f"{got:.4f}",
        "difference": "-" if got is None else f"{got - expected.value:+.4f}",
        "tolerance": f"{expected.tolerance:g}",
        "verdict": verdict.verdict,
        "source": expected.source,
        "note": "; ".join([*notes, *([expected.note] if expected.note else [])]),
    }


def interval(row: Row, metric: str) -> str:
    """Return the interval of a value, ``[0.3412, 0.3588]``; empty if it is not known."""
    chance = row.chance.get(metric)
    return "" if chance is None else f"[{chance.low:.4f}, {chance.high:.4f}]"


def marks(row: Row, metric: str) -> str:
    """Return the marks of a value: † below the best, ↑ above and ↓ below the reference."""
    chance = row.chance.get(metric)
    if chance is None:
        return ""
    worse = chance.p_best is not None and chance.p_best < LEVEL
    other = chance.p_reference is not None and chance.p_reference < LEVEL
    arrow = "↑" if chance.higher else "↓"
    return ("†" if worse else "") + (arrow if other else "")


def legend(board: Leaderboard) -> list[str]:
    """Say what intervals and marks are, and printed values; empty if the table has none."""
    notes = []
    if board.printed:
        notes.append(
            "Printed: values from the sources that are named. They were not measured here, so they "
            "have no interval, no test and no outcome"
        )
    if not any(row.chance for row in board.rows):
        return notes
    sources = (
        "95 % intervals and tests account for the choice of users; for seeds of the fit where "
        "there are several fits; for splits where there are three or more seeds or folds"
    )
    notes = [sources, *notes]
    if any(c.p_best is not None for row in board.rows for c in row.chance.values()):
        notes.append(
            "† differs from the best of its column (paired t-test, p < 0.05 after correction for "
            "all pairs of models in the column)"
        )
    if board.reference is not None:
        which = " (best on validation)" if board.chosen_by == "validation" else ""
        notes.append(
            f"↑ ↓ higher or lower than {board.reference}{which} (paired t-test, p < 0.05 after "
            "Holm's correction for the models of the column that are compared with it)"
        )
    return notes


def status_text(row: Row) -> str:
    """Say how a model came by its hyperparameters, and whether it is one that is judged."""
    return f"{row.status}, judged" if row.role == "judged" else row.status


def footnotes(board: Leaderboard) -> tuple[dict[str, list[int]], list[str]]:
    """Number what a reader has to know of the models, for formats without a column for it.

    Returns
    -------
    places : dict of str to list of int
        By model, which of the texts belong to it.
    texts : list of str
        Each once; how a model came by its hyperparameters is one of them if it was not tuned.
    """
    texts: list[str] = []
    places: dict[str, list[int]] = {}
    for row in board.shown:
        own = [*([row.status] if row.status in NOT_TUNED else []), *row.notes]
        own = [*(["judged"] if row.role == "judged" else []), *own]
        texts += [text for text in own if text not in texts]
        places[row.model] = [texts.index(text) for text in own]
    return places, texts
