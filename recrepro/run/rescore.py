"""Metrics from the rankings that an earlier cell of the same fit has kept: no fit, no opening."""

from functools import partial

from recrepro.errors import RecreproError
from recrepro.evaluation.rankings import Rankings
from recrepro.models import default_role
from recrepro.run.job import evaluator_of
from recrepro.run.materials import Materials
from recrepro.run.outcome import (
    RANKINGS,
    can_rescore,
    measured,
    per_user_table,
    search_outcome,
)
from recrepro.run.plan import Cell, Plan
from recrepro.splits.keys import unlock
from recrepro.store.ledger import Ledger
from recrepro.store.records import Record
from recrepro.store.results import result_digest
from recrepro.store.workspace import Workspace
from recrepro.tuning.tuner import chosen_params


def rescore(
    plan: Plan,
    cell: Cell,
    materials: Materials,
    ledger: Ledger,
    workspace: Workspace,
) -> Record | None:
    """Compute the metrics of a cell from kept rankings.

    Parameters
    ----------
    plan, cell
        The cell.
    materials : Materials
        For the key of the rankings.
    ledger, workspace
        Where results are.

    Returns
    -------
    Record or None
        The result; None if the cell has to be run: its search is not over, no cell with this fit
        has a result, or lists are needed that are longer than those it has kept.
    """
    identity, model, trials = cell.identity, plan.models[cell.name.model], ledger.trials(cell.key)
    if not plan.budget(cell).is_spent([trial.seconds for trial in trials]):
        return None
    evaluator = evaluator_of(plan.experiment, materials.items(cell), cell.name.seed)
    try:
        config = chosen_params(model, cell.model, trials)
        params = config.model_dump(mode="json")
        source = ledger.fitted(cell.key, identity.fit_key(params))
        if source is None or not can_rescore(identity, evaluator, source):
            return None
        assert source.rankings is not None
        keys = materials.keys(cell)
        validation = plan.experiment.evaluate.validation
        fitted, _ = materials.split(cell).fitted(keys.tuning, validation)
        content = workspace.read_blob(source.rankings.sha256)
        rankings = Rankings.from_arrays(unlock(RANKINGS, keys.rankings, content), fitted)
    except RecreproError:
        return None  # the process of the cell meets the same fault, or does without the rankings
    evaluation = evaluator.measure(rankings, fitted)
    name = cell.name
    alone = plan.experiment.one_cell(name.dataset, name.split, name.model, name.seed)
    role = cell.model.role or default_role(source.model.family)
    per_user = per_user_table(evaluation, materials.user_ids(cell))
    values = source.to_json() | {
        "cell": cell.key,
        "result_digest": result_digest(cell.key, params, evaluation.means, per_user),
        "titles": cell.name,
        "identity": identity,
        "protocol": identity.protocol_fingerprint,
        "experiment": alone.to_json(),
        "base": str(plan.base.resolve()),
        "model": source.model.to_json() | {"role": role},
        "tuning": search_outcome(model, cell.model, plan.experiment.selection_metric, trials),
        "openings": [],
        "per_user": workspace.write_blob(per_user, partial(ledger.announce, cell.key)),
        "rescored": source.cell,
        **measured(evaluation, fitted),
    }
    return Record.model_validate(values)
