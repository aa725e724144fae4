"""What a run that was disturbed must have in common with one that was not."""

from support.places import Place

from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace


def openings(place: Place) -> dict[str, tuple[str, ...]]:
    """Return why the test part of each cell was opened; its record says the same."""
    ledger = Ledger.in_workspace(place.workspace)
    found = {}
    for cell in ledger.states():
        status = ledger.status(cell)
        found[cell] = tuple(opening.reason for opening in status.openings)
        assert not status.alarmed
        assert tuple(o.reason for o in status.record.openings) == found[cell]
    ledger.close()
    return found


def mlflow_runs(place: Place) -> list[tuple]:
    """Return what MLflow has of cells and trials, without times; each cell is there as a whole."""
    from recrepro.tracking.client import connect

    client = connect(Workspace(place.workspace).mlflow_store)
    experiment = client.get_experiment_by_name("toy").experiment_id
    found = []
    for run in client.search_runs([experiment], max_results=1000):
        tags = run.data.tags
        assert tags["recrepro.kind"] == "trial" or tags["recrepro.complete"]
        metrics = {k: v for k, v in run.data.metrics.items() if not k.endswith("_seconds")}
        trial = tags.get("recrepro.trial")
        found.append((run.info.status, run.info.run_name, trial, run.data.params, metrics))
    return sorted(found, key=str)


def check_nothing_is_torn(place: Place) -> None:
    """Check that whatever the ledger calls done is whole, record and blob; true at any time."""
    if not place.workspace.joinpath("ledger.db").is_file():
        return
    ledger = Ledger.in_workspace(place.workspace)
    for cell, state in ledger.states().items():
        if state == "done":
            Workspace(place.workspace).read_blob(ledger.status(cell).record.per_user)
    ledger.close()
