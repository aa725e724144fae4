"""Checks of a parcel: what of it is whole, unchanged and of this version."""

import json
import math
from collections import defaultdict
from dataclasses import replace
from typing import Any, get_args

import sqlalchemy as sa
from pydantic import ValidationError

from recrepro.errors import RecreproError
from recrepro.spec.identity import HARNESS_VERSION, Identity
from recrepro.store import schema as tables
from recrepro.store.names import CellName
from recrepro.store.openings import Reason
from recrepro.store.parcel import Merged, Parcel, Row
from recrepro.store.records import Record, Trial
from recrepro.store.searches import check_hash


def sound_part(parcel: Parcel, merged: Merged) -> Parcel:
    """Return the parcel without what is damaged, altered or of another version.

    Parameters
    ----------
    parcel : Parcel
        Results and trials from elsewhere.
    merged : Merged
        Gets a line in `refused` for each thing that is left out.

    Returns
    -------
    Parcel
        The rest. A cell whose identity is right and whose result is not comes without its result.
    """
    cells: dict[str, Row] = {}
    searches: set[str] = set()
    parcel = _well_formed(parcel, merged)
    for row in parcel.of(tables.CELLS):
        try:
            identity = _checked_identity(row)
            searches.add(identity.search_key)
            cells[row["cell"]] = row
            if row["state"] == "done":
                _check_result(row, parcel)
        except (RecreproError, ValidationError, ValueError) as error:
            merged.refused.append(f"{_shown(row)}: {_in_a_line(error)}")
            if row["cell"] in cells:  # its identity is right, so it can be run here
                cells[row["cell"]] = row | {"state": "pending", "record": None}
    trials: list[Row] = []
    broken: set[str] = set()
    for row in sorted(parcel.of(tables.TRIALS), key=lambda row: (row["search"], row["number"])):
        place = f"trial {row['number']} of the search {str(row['search'])[:12]}"
        try:
            check_hash(row["trial"], row["trial_hash"], place)
            if row["search"] not in searches:
                raise RecreproError("it belongs to no cell that is named here")  # noqa: TRY301
            if Trial(**json.loads(row["trial"])).number != row["number"]:
                raise RecreproError("it has another number")  # noqa: TRY301
        except (RecreproError, ValueError, TypeError) as error:
            merged.refused.append(f"{place}: {_in_a_line(error)}")
            broken.add(row["search"])
        if row["search"] not in broken:  # later trials were suggested because of this one
            trials.append(row)
    rows = {
        name: [row for row in found if row.get("cell", None) is None or row["cell"] in cells]
        for name, found in parcel.rows.items()
    }
    rows |= {tables.CELLS.name: list(cells.values()), tables.TRIALS.name: trials}
    return replace(parcel, rows=rows)


def _well_formed(parcel: Parcel, merged: Merged) -> Parcel:
    """Return the parcel without rows whose values have the wrong type for their columns."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for name, found in parcel.rows.items():
        for row in found:
            problem = _malformed(tables.METADATA.tables[name], row)
            if problem is None:
                rows[name].append(row)
            else:
                merged.refused.append(f"a row of the table {name!r}: {problem}")
    return replace(parcel, rows=dict(rows))


def _malformed(table: sa.Table, row: Row) -> str | None:
    for column in table.columns:
        value = row.get(column.name)
        if value is None and (column.nullable or column.autoincrement is True):
            continue
        kind = column.type.python_type
        wanted = (int, float) if kind is float else kind
        if not isinstance(value, wanted) or (kind is float and not math.isfinite(value)):
            return f"its column {column.name!r} holds {str(value)[:40]!r}"
    try:
        if "titles" in table.columns:
            CellName.model_validate_json(row["titles"])
    except ValidationError:
        return "its column 'titles' holds no name of a cell"
    if table is tables.OPENINGS and row["reason"] not in get_args(Reason):
        return f"its column 'reason' holds {row['reason']!r}"
    return None


def _checked_identity(row: Row) -> Identity:
    identity = Identity.model_validate_json(row["identity"])
    if identity.key != row["cell"] or identity.search_key != row["search"]:
        raise RecreproError("its key is not the hash of its identity")
    if identity.harness != HARNESS_VERSION:
        raise RecreproError(
            f"it is of harness {identity.harness}, and this recrepro has {HARNESS_VERSION}, whose "
            "numbers may differ"
        )
    if identity.is_inline:
        raise RecreproError("it was run inline, which is not for publication")
    return identity


def _check_result(row: Row, parcel: Parcel) -> None:
    check_hash(row["record"] or "", row["record_hash"] or "none", "its record")
    record = Record.read(row["record"], "its record")
    if record.cell != row["cell"] or record.identity.key != row["cell"]:
        raise RecreproError("its record is that of another cell")
    if (record.result_digest, record.fit) != (row["result_digest"], row["fit"]):
        raise RecreproError("its record has another result than the ledger")
    parcel.read_blob(record.per_user)


def _shown(row: Row) -> str:
    return f"cell {str(row['cell'])[:12]}"


def _in_a_line(error: Any) -> str:
    return " ".join(str(error).split())[:300]
