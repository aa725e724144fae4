"""Notes below a leaderboard: budgets, audit, cold rows, sampled ranking."""

from collections.abc import Mapping, Sequence

from recrepro.evaluation.definitions import parse_metric
from recrepro.spec.budget import how, trials_in_words
from recrepro.store.records import Record, RecordedAudit
from recrepro.store.results import Result
from recrepro.text.words import count


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


def worst_audit(records: list[Record]) -> RecordedAudit:
    """Return the audit with the worst verdict."""
    audits = [record.split.audit for record in records]
    return min(audits, key=lambda a: ("leaking", "suspicious", "clean").index(a.verdict))


def split_notes(records: list[Record]) -> tuple[str, ...]:
    """Say what the audit holds against the split, and what is not tested because it is cold."""
    audit, record = worst_audit(records), records[0]
    found = [f.message for f in audit.findings if f.severity != "note"]
    notes = [f"Leakage audit: {audit.verdict}: {'; '.join(found)}"] if found else []
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
