"""How hyperparameters came about: histories of the searches, and the values that were found."""

from collections.abc import Iterator, Mapping
from typing import Any

from recrepro.charts import figures as charts
from recrepro.report.board import Board
from recrepro.report.parts import Chart, Section, Table, TableCell, columns, number, seconds
from recrepro.spec.experiment import Experiment
from recrepro.store.records import Record, Trial
from recrepro.store.results import Result


def histories(board: Board) -> Section:
    """Return what each trial of each search reached, drawn; of the first repeat."""
    items: list[Chart | Table] = []
    for place, result in enumerate(_first_repeats(board)):
        trials = result.read_trials()
        tuning = result.record.tuning if result.record else None
        if tuning and len(trials) > 1:  # a model without hyperparameters has one
            items += _history(f"{board.id}-search-{place}", result, trials, tuning.metric)
    why = (
        "Values on validation data, of the first seed and fold. Dots are trials, the line is the "
        "best so far; crosses are pruned trials with their best until then, dotted lines are "
        "trials that failed. By epoch: one line a trial, the best one in front. The trials of all "
        "repeats are in records.json."
        if items
        else "Nothing was tuned here."
    )
    return Section(f"{board.id}-searches", "Tuning histories", (why,), tuple(items))


def _first_repeats(board: Board) -> Iterator[Result]:
    seen = set()
    for row in board.table.rows:
        for result in board.results:
            if result.name.model == row.model and result.record and row.model not in seen:
                seen.add(row.model)
                yield result


def _history(
    name: str, result: Result, trials: list[Trial], metric: str
) -> Iterator[Chart | Table]:
    model, rows = result.name.model, []
    best: float | None = None
    for trial in trials:
        if trial.state == "complete" and trial.value is not None:
            best = trial.value if best is None else max(best, trial.value)
        values = ", ".join(f"{key} = {_shown(v)}" for key, v in trial.params.items())
        state = "" if trial.state == "complete" else f"{trial.state}: {trial.reason}"
        if trial.stopped:
            state = f"out of time after epoch {trial.stopped}"
        rows.append(
            (
                TableCell(str(trial.number), trial.number),
                number(trial.value),
                number(best),
                TableCell(str(trial.epochs or "-")),
                seconds(trial.seconds),
                TableCell("; ".join(filter(None, (values, state)))),
            )
        )
    head = columns(["trial"], ["value", "best so far", "epochs", "time"])
    caption = f"{model}: trials, {metric} on validation"
    table = Table(
        f"{name}-table", caption, (*head, *columns(["values"])), tuple(rows), folded="Numbers"
    )
    drawn = charts.search(f"{name}-svg", [t.to_json() for t in trials], metric, model)
    yield Chart(f"{model}: search", drawn, table, small=True)
    by_epoch = charts.epochs(f"{name}-epochs", [t.to_json() for t in trials], metric, model)
    if by_epoch is not None:
        curves = Table(
            f"{name}-epochs-table",
            f"{model}: {metric} on validation by epoch",
            columns(["trial"], ["epoch", metric]),
            tuple(
                (
                    TableCell(str(trial.number)),
                    number(epoch["epoch"], "g"),
                    number(epoch[metric]),
                )
                for trial in trials
                for epoch in trial.curve
                if metric in epoch
            ),
            folded="Numbers",
        )
        yield Chart(f"{model}: epochs", by_epoch, curves, small=True)


def hyperparameters(board: Board, experiment: Experiment) -> Section:
    """Return the values of the final fits: where each is from, and whether it is at an edge."""
    specs = {spec.title: spec for spec in experiment.models}
    rows = []
    for model, records in board.records.items():
        spec = specs.get(model)
        for name in records[0].model.params:
            given = spec is not None and name in spec.params
            rows.append(_value(model, name, records, given=given))
    head = columns(["model", "hyperparameter", "value", "how", "range"])
    caption = "Hyperparameters of the final fits; several values are those of the repeats"
    table = Table(
        f"{board.id}-values",
        caption,
        head,
        tuple(rows),
        tools=True,
        folded=f"{len(rows)} values" if len(rows) > 20 else "",
    )
    edges = sorted(
        {
            f"{model}: {name}"
            for model, records in board.records.items()
            for record in records
            for name in (record.tuning.at_edge if record.tuning else ())
        }
    )
    why = (
        f"At the edge of its range, which may hold it back: {'; '.join(edges)}."
        if edges
        else "No value that was searched for lies at the edge of its range."
    )
    section = f"{board.id}-hyperparameters"
    if not rows:
        return Section(section, "Hyperparameters", ("No model here has any.",))
    return Section(section, "Hyperparameters", (why,), (table,))


def _value(model: str, name: str, records: list[Record], *, given: bool) -> tuple[TableCell, ...]:
    values = [_shown(record.model.params.get(name)) for record in records]
    tunings = [record.tuning for record in records if record.tuning]
    searched = any(name in tuning.best.params for tuning in tunings)
    by_epochs = name == "epochs" and any(tuning.best.epochs for tuning in tunings)
    how = "searched" if searched else "best epoch" if by_epochs else "given" if given else "default"
    edge = any(name in tuning.at_edge for tuning in tunings)
    model_identity = records[0].identity.model
    space = model_identity.space if model_identity else {}
    return (
        TableCell(model),
        TableCell(name),
        TableCell(", ".join(dict.fromkeys(values)) if len(set(values)) == 1 else ", ".join(values)),
        TableCell(how, badges=(("warn", "at the edge"),) if edge else ()),
        TableCell(_range(space[name]) if searched and name in space else ""),
    )


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _range(space: Mapping[str, Any]) -> str:
    """Write a range as cells' identities keep it."""
    if "options" in space:
        return ", ".join(map(_shown, space["options"]))
    scale = ", log" if space.get("kind") == "LogUniform" else ""
    return f"{_shown(space['low'])} to {_shown(space['high'])}{scale}"
