"""Notes on models and tables: openings, failures; budgets, audit, cold rows, sampled ranking."""

from collections.abc import Mapping, Sequence
from typing import Any

from recrepro.evaluation.definitions import parse_metric
from recrepro.spec.budget import how, trials_in_words
from recrepro.splits.negatives import counted_held_out
from recrepro.store.entries import CellStatus
from recrepro.store.records import Record, RecordedAudit
from recrepro.store.results import Result
from recrepro.text.words import count


def notes_on_runs(results: Sequence[Result]) -> list[str]:
    """Say how often test parts were opened, what failed, and what else has this name."""
    statuses = [result.status for result in results]
    records = [result.record for result in results if result.record]
    reopened = sum(s.reopened for s in statuses)
    notes = [reopened_note(reopened)] if reopened else []
    notes += _before_notes(statuses)
    tries = max(s.tries for s in statuses)
    if tries and records:
        notes.append("external: scored from a run file" + (f", try {tries}" if tries > 1 else ""))
    notes += dict.fromkeys(note for record in records for note in record.model.notes)
    failed = [s for s in statuses if s.state == "failed"]
    if failed:
        notes.append(f"{len(failed)} of {len(statuses)} repeats failed: {failed[0].reason}")
    inline = sum(s.inline for s in statuses)
    if inline:
        notes.append(_inline_note(inline, published=bool(records)))
    older = [key[:8] for result in results for key in result.older]
    if older:
        notes.append(f"older code of it has results too: {', '.join(older)}")
    return notes


def notes_on_results(results: Sequence[Result]) -> list[str]:
    """Say what a reader has to know of the values of a model."""
    statuses = [result.status for result in results]
    records = [result.record for result in results if result.record]
    notes = []
    if any(r.identity.is_inline for r in records):
        notes.append("inline: not for publication")
    if any(s.alarmed for s in statuses):
        notes.append("determinism alarm: a second run gave another result; the first one is shown")
    edges = sorted({n for r in records if r.tuning for n in r.tuning.at_edge})
    if edges:
        notes.append(f"best {', '.join(edges)} at the edge of its range")
    bests = [(r, r.tuning.best) for r in records if r.tuning]
    if any(best.stopped is not None for _, best in bests):
        notes.append("best trial stopped by the clock")
    if any(best.epochs is not None and best.epochs == _epoch_cap(r) for r, best in bests):
        notes.append("best epoch at the cap")
    bad_trials = sum(r.tuning.failed for r in records if r.tuning)
    if bad_trials:
        notes.append(f"{bad_trials} failed trials")
    if len(records) < len(statuses) and not any(s.state == "failed" for s in statuses):
        notes.append(f"{len(records)} of {len(statuses)} repeats")
    return notes


def _epoch_cap(record: Record) -> Any:
    """Return the number of epochs after which each trial ended; None where it was searched."""
    model = record.identity.model
    return None if model is None or "epochs" in model.space else model.params.get("epochs")


def reopened_note(times: int) -> str:
    """Say that the test part was opened again on request."""
    how_often = "once" if times == 1 else f"{times} times"
    return f"test part opened again on request, {how_often}"


def _before_notes(statuses: Sequence[CellStatus]) -> list[str]:
    """Say what was changed after the test part had been opened for an earlier version of a cell."""
    found = [s for s in statuses if s.before.openings and s.record]
    if not found:
        return []
    metrics = dict.fromkeys(metric for s in found for metric in s.before.metrics)
    changes = ["the budget was changed"] if any(s.before.budget for s in found) else []
    changes += [f"{', '.join(metrics)} added"] if metrics else []
    if any(s.before.validation for s in found):
        changes.append("what the final model is given of the validation part was changed")
    own = sum(opening.reason != "refused" for s in found for opening in s.openings)
    times = sum(s.before.openings for s in found) + own
    how_often = "once" if times == 1 else f"{times} times"
    what = " and ".join(changes) or "metrics were taken away"
    return [f"{what} after the test part was opened; opened {how_often} in all"]


def _inline_note(times: int, *, published: bool) -> str:
    """Return the note on inline runs: how often they opened the test part, or what is missing."""
    if not published:
        return "run inline only, not for publication: run it without --executor inline"
    how_often = "once" if times == 1 else f"{times} times"
    return f"test part opened inline, {how_often}"


def budget_notes(models: Mapping[str, Sequence[Result]]) -> tuple[str, ...]:
    """Say what tuned models could spend; of each by name, if it is not the same for all."""
    budgets: dict[str, dict[str, list[int]]] = {}
    for model, results in models.items():
        for record in (r.record for r in results if r.record):
            tuning = record.identity.tuning
            if record.model.status == "tuned" and tuning:
                budget = record.identity.budget
                text = f"{how(budget, tuning)}, on validation {tuning['metric']}"
                numbers = budgets.setdefault(text, {}).setdefault(model, [])
                numbers += trials_made([record]) if budget.seconds is not None else ()
    notes = []
    for text, numbers_of in budgets.items():
        numbers = [number for found in numbers_of.values() for number in found]
        made = f": {trials_in_words(numbers)} made" if numbers else ""
        whose = f" ({', '.join(numbers_of)})" if len(budgets) > 1 else ""
        notes.append(f"Tuned with {text}{made}{whose}")
    return tuple(notes)


def withdrawn_notes(models: Mapping[str, Sequence[Result]]) -> tuple[str, ...]:
    """Count the results of each model that were withdrawn, with the reasons."""
    notes = []
    for model, results in models.items():
        reasons = [r.status.withdrawn for r in results if r.status.withdrawn]
        tries = sum(max(1, r.status.tries) for r in results if r.status.withdrawn)
        if reasons:
            why = "; ".join(dict.fromkeys(reasons))
            notes.append(f"Withdrawn: {count(tries, 'result')} of {model} ({why})")
    return tuple(notes)


def trials_made(records: list[Record]) -> tuple[int, ...]:
    """Return the numbers of trials of what was tuned."""
    return tuple(r.tuning.trials for r in records if r.tuning)


def worst_audit(records: Sequence[Record]) -> RecordedAudit:
    """Return the audit with the worst verdict."""
    audits = [record.split.audit for record in records]
    return min(audits, key=lambda a: ("leaking", "suspicious", "clean").index(a.verdict))


def split_notes(records: list[Record]) -> tuple[str, ...]:
    """Say what the audit holds against the split, and what is not tested because it is cold."""
    audit, record = worst_audit(records), records[0]
    found = [f.message for f in audit.findings if f.severity != "note"]
    notes = [f"Leakage audit: {audit.verdict}: {'; '.join(found)}"] if found else []
    if counted_held_out(record.identity.split):
        notes.append(
            "Made with an older version, which drew negatives by their popularity in train and "
            "test, so that items of the test part were drawn too often. Run it again"
        )
    dropped = record.split.dropped
    users, items = dropped.get("test_cold_users", 0), dropped.get("test_cold_items", 0)
    if not users + items:
        return tuple(notes)
    held = record.split.parts["test"].interactions + users + items
    note = (
        f"{users + items:,} of {held:,} held-out interactions are not tested: {users:,} of users "
        f"without any in training, {items:,} with items that nobody has there"
    )
    return (*notes, note)


RANKING_NOTES = {
    ("items", "train"): "Only items with a training interaction may be recommended",
    ("items", "cold"): "Only items without a training interaction may be recommended",
    ("outside", "ignored"): "Held-out items that may not be recommended are not looked for",
    ("seen", "kept"): "Items that a user has seen may be recommended again",
    ("validation", "history"): (
        "Final models do not learn from the validation part; histories contain it"
    ),
    ("validation", "unused"): "Final models neither learn from the validation part nor see it",
}
"""What a table says of each choice under `[evaluate]` that is not the usual one."""


def ranking_notes(record: Record) -> tuple[str, ...]:
    """Say how the final models were fitted and ranked, where this is not the usual way."""
    chosen = record.identity.ranking.items()
    return tuple(note for choice in chosen if (note := RANKING_NOTES.get(choice)) is not None)


def sampled_notes(record: Record, metrics: Sequence[str]) -> tuple[str, ...]:
    """Say how full ranking can be estimated, where it can and is not."""
    kinds = {parse_metric(metric).definition.kind for metric in metrics}
    one_each = record.split.parts["test"].interactions == record.users
    if not record.sampled or not one_each or "corrected" in kinds:
        return ()
    note = (
        "Sampled values are larger than full ones and can order models differently. For estimates "
        "of full ranking add ndcg[cls]@10, hit_rate[cls]@10 or the like to the metrics"
    )
    return (note,)
