"""Results as tables, tests and reports read them, wherever they are kept."""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import parquet

from recrepro.data.formats.parse import check_footer
from recrepro.errors import RecreproError
from recrepro.spec.canonical import canonical_json
from recrepro.spec.experiment import Experiment
from recrepro.store.entries import CellStatus, Member
from recrepro.store.ledger import Ledger
from recrepro.store.names import CellName
from recrepro.store.records import Record, Trial
from recrepro.store.workspace import Workspace


@dataclass(frozen=True)
class Result:
    """A cell of an experiment, and what came of it.

    Parameters
    ----------
    name : CellName
        Names of data set, split, model, seed and fold in the experiment.
    status : CellStatus
        State, reason, record, openings of the test part.
    read_trials : callable
        Returns the finished trials.
    read_per_user : callable
        Returns the Parquet file with the values of each user.
    older : tuple of str
        Keys of cells of the same name whose results are of older code of the model.
    """

    name: CellName
    status: CellStatus
    read_trials: Callable[[], list[Trial]]
    read_per_user: Callable[[], bytes]
    older: tuple[str, ...] = ()

    @property
    def record(self) -> Record | None:
        """The record of the cell; None if it is not done, or was withdrawn."""
        return None if self.status.withdrawn else self.status.record

    def per_user(self) -> pd.DataFrame:
        """Return the values of each user: a column `user` with labels, and one for each metric."""
        return values_of_users(self.read_per_user(), f"the values of users of {self.name.path}")


def values_of_users(content: bytes, where: str) -> pd.DataFrame:
    """Read the values of each user: a column `user` with labels, and one for each metric.

    Parameters
    ----------
    content : bytes
        The Parquet file, which may be a stranger's.
    where : str
        What error messages call it.

    Raises
    ------
    DataError
        If it holds no rows, or promises more than fit.
    """
    stream = io.BytesIO(content)
    check_footer(parquet.read_metadata(stream), len(content), where)
    return pd.read_parquet(stream)


def results_in(
    workspace: Workspace, ledger: Ledger, experiment: Experiment, name: str
) -> list[Result]:
    """Return the cells of an experiment in a workspace, in the order of the file.

    Results from files (`recrepro evaluate`) that were measured in the same way come last.

    Raises
    ------
    RecreproError
        If nothing of the experiment was run there.
    """
    members = ledger.members(name, experiment.grid_hash)
    members += ledger.externals(name, experiment.grid_hash)
    if not members:
        raise RecreproError(
            f"nothing of {name!r}, as the file is now, was run in this workspace. Run it: "
            f"recrepro run {name}.toml (results of equal cells are reused)."
        )
    older: dict[CellName, list[str]] = {}
    for key, title in ledger.superseded(name, experiment.grid_hash):
        older.setdefault(title, []).append(key)
    return [result_of(workspace, ledger, m, older.get(m.name, ())) for m in members]


def result_of(
    workspace: Workspace, ledger: Ledger, member: Member, older: Sequence[str] = ()
) -> Result:
    """Return a cell of an experiment and what came of it; `older` as of `Result`."""
    status = ledger.status(member.cell)

    def read_per_user() -> bytes:
        assert status.record is not None
        return workspace.read_blob(status.record.per_user)

    return Result(
        member.name, status, lambda: ledger.trials(status.cell), read_per_user, tuple(older)
    )


def result_digest(
    cell: str, params: Mapping[str, Any], metrics: Mapping[str, float], per_user: bytes
) -> str:
    """Hash the outcome of a cell bit for bit, without its times and its machine.

    Parameters
    ----------
    cell : str
        Key of the cell.
    params : mapping of str to object
        Final hyperparameters, as plain values.
    metrics : mapping of str to float
        Values of all metrics. Those that are means over users follow from `per_user`.
    per_user : bytes
        Parquet file with the values of each user: the values are hashed, because other versions of
        pandas and pyarrow write the same ones as other bytes.
    """
    values = pd.read_parquet(io.BytesIO(per_user))
    users = values.pop("user").tolist()
    overall = {name: value for name, value in metrics.items() if name not in values}
    facts = {"cell": cell, "params": dict(params), "overall": overall, "users": users}
    digest = hashlib.sha256(canonical_json(facts).encode())
    for name in sorted(map(str, values)):
        digest.update(canonical_json(name).encode())
        digest.update(values[name].to_numpy(np.float64).tobytes())
    return digest.hexdigest()
