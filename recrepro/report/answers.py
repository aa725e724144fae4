"""What the page says first: verdicts on judged models, and expected values against those got."""

from collections.abc import Sequence
from dataclasses import replace

from recrepro.analysis.leaderboard import ExpectationCheck, Leaderboard
from recrepro.analysis.verdict import BoardVerdict, ModelVerdict, may_be_judged, tally
from recrepro.report.parts import Column, Section, Table, TableCell, columns, number, p_value
from recrepro.spec.experiment import Experiment
from recrepro.tables.cells import number as with_spread
from recrepro.tables.cells import verdict_cells
from recrepro.tables.verdicts import EXPLANATION, against, heading, in_tables, times

LONG = 12
"""Of longer lists of expected values, those as expected are folded."""

KINDS: dict[str, str] = {
    "better": "good",
    "worse": "bad",
    "equivalent": "plain",
    "not enough evidence": "warn",
}


def verdict(
    experiment: Experiment, boards: Sequence[Leaderboard], judged: Sequence[BoardVerdict]
) -> Section:
    """Return the answer for each judged model, in short and by table."""
    title = "Better than tuned baselines?"
    tables = [
        _judged(f"verdict-{place}", board) for place, board in enumerate(judged) if board.models
    ]
    if not tables:
        why = "No model that is judged has a result here."
        if not may_be_judged(experiment.selection_metric):
            why = f"No verdict: more {experiment.selection_metric} is not better."
        leaders = tuple(
            f"{b.dataset} · {b.split}: {b.rows[0].model} leads in {b.metrics[0]} with "
            f"{with_spread(b.rows[0], b.metrics[0])}."
            for b in boards
            if b.rows and b.rows[0].means
        )
        return Section("verdict", title, (why, *leaders))
    parts = []
    for place, (model, counts) in enumerate(tally(judged).items()):
        given = [answer for answer, times in counts.items() if times]
        word = given[0] if len(given) == 1 else "mixed"
        text = in_tables(counts)
        text = f"{text[:1].upper()}{text[1:]}."
        badges = ((KINDS.get(word, "warn"), word),)
        parts.append(Section(f"answer-{place}", model, (text,), badges=badges))
    return Section("verdict", title, (EXPLANATION,), tuple(tables), tuple(parts))


def _judged(name: str, board: BoardVerdict) -> Table:
    head = columns(
        ["model", "outcome", "baseline"],
        [
            "difference",
            "95 % interval",
            "p (Holm)",
            "seen with 80 % power",
            "users",
            "fit time",
            "tuning time",
            "energy",
        ],
    )
    rows = tuple(_row(model) for model in board.models)
    notes = tuple(f"{note[:1].upper()}{note[1:]}." for note in board.notes)
    return Table(name, heading(board), (*head, *columns(["notes"])), rows, notes)


def _row(model: ModelVerdict) -> tuple[TableCell, ...]:
    found = model.comparison
    return (
        TableCell(model.model, below=model.family),
        TableCell("", badges=((KINDS[model.outcome], model.outcome),)),
        TableCell(against(model)),
        number(None if found is None else found.difference, "+.4f"),
        TableCell("-" if found is None else f"{found.low:+.4f} to {found.high:+.4f}"),
        p_value(model.p),
        number(None if found is None else found.estimate.detectable, ".4f"),
        number(model.users, ","),
        _times(model.fit_ratio, f"{model.clock} seconds"),
        _times(model.tune_ratio, f"{model.clock} seconds"),
        _times(model.energy_ratio),
        TableCell("; ".join([*model.missing, *model.notes])),
    )


def _times(ratio: float | None, unit: str = "") -> TableCell:
    return TableCell("-") if ratio is None else TableCell(times(ratio), ratio, below=unit)


def expected(verdicts: Sequence[ExpectationCheck]) -> Section | None:
    """Return expected values against those got; None if nothing is expected."""
    if not verdicts:
        return None
    right = sum(one.verdict == "ok" for one in verdicts)
    counted = f"{right} of {len(verdicts)} as expected."
    names = [name for name in verdict_cells(verdicts[0]) if name != "note"]
    numeric = ("published", "expected", "got", "difference", "tolerance")
    head = tuple(Column(name, numeric=name in numeric) for name in names)
    rows = {one: tuple(_expected_cell(one, name) for name in names) for one in verdicts}
    whole = Table("expected-table", "All values", head, tuple(rows.values()), tools=True)
    if len(verdicts) <= LONG:
        return Section("expected", "Expected against got", (counted,), (whole,))
    off = tuple(row for one, row in rows.items() if one.verdict != "ok")
    short = Table("expected-off", "Values that are off or missing", head, off)
    folded = replace(whole, folded=f"All {len(verdicts)} values")
    items = (short, folded) if off else (folded,)
    return Section("expected", "Expected against got", (counted,), items)


def _expected_cell(one: ExpectationCheck, name: str) -> TableCell:
    cells = verdict_cells(one)
    if name == "model":
        return TableCell(cells[name], below=f"{one.dataset} · {one.split}")
    if name == "verdict":
        kind = {"ok": "good", "off": "bad", "missing": "warn"}[one.verdict]
        return TableCell("", badges=((kind, one.verdict),))
    return TableCell(cells[name], below=cells["note"] if name == "source" else "")
