"""Checks of a parcel: what of it is whole, unchanged and of this version."""

import json
from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from recrepro.errors import DataError, RecreproError
from recrepro.spec.identity import HARNESS_VERSION, Identity
from recrepro.store import rows as stored
from recrepro.store import schema as tables
from recrepro.store.parcel import Merged, Parcel, Row
from recrepro.store.records import read_trials
from recrepro.store.results import result_digest
from recrepro.store.rows import Damage

FAULTS = (RecreproError, Damage)
"""What is wrong with a part of a parcel."""


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
    parcel = _well_formed(parcel, merged)
    cells: dict[str, Row] = {}
    for row in parcel.of(tables.CELLS):
        try:
            identity = _usable_identity(row)
            cells[row["cell"]] = row
            if row["state"] == "done":
                _check_result(row, identity, parcel)
        except FAULTS as error:
            merged.refused.append(f"cell {row['cell'][:12]}: {_in_a_line(error)}")
            if row["cell"] in cells:  # its identity is right, so it can be run here
                cells[row["cell"]] = row | {"state": "pending", "record": None}
    rows = {
        name: [row for row in found if "cell" not in row or row["cell"] in cells]
        for name, found in parcel.rows.items()
    }
    searches = {row["search"] for row in cells.values()}
    rows[tables.CELLS.name] = list(cells.values())
    rows[tables.TRIALS.name] = _sound_trials(parcel, searches, merged)
    _drop_torn_experiments(parcel, rows, merged)
    return replace(parcel, rows=rows)


def _well_formed(parcel: Parcel, merged: Merged) -> Parcel:
    """Return the parcel without rows whose values are not of their columns' kinds."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for name, found in parcel.rows.items():
        table = tables.METADATA.tables[name]
        for row in found:
            try:
                _check_row(table, row)
            except Damage as damage:
                merged.refused.append(str(damage))
            else:
                rows[name].append(row)
    return replace(parcel, rows=dict(rows))


def _check_row(table: sa.Table, row: Row) -> None:
    columns = [column for column in table.columns if column.autoincrement is not True]
    stored.check_values(columns, [row.get(column.name) for column in columns], row.get("cell"))
    if "titles" in table.columns:
        stored.name_of(SimpleNamespace(**row))


def _usable_identity(row: Row) -> Identity:
    """Return the identity of a cell, which this recrepro can use."""
    identity = stored.identity_of(SimpleNamespace(**row))
    if identity.search_key != row["search"]:
        raise Damage("it is not the search of its identity", "cells", "search", row["cell"])
    if identity.harness != HARNESS_VERSION:
        raise DataError(
            f"it is of harness {identity.harness}, and this recrepro has {HARNESS_VERSION}, whose "
            "numbers may differ"
        )
    if identity.is_inline:
        raise DataError("it was run inline, which is not for publication")
    return identity


def _check_result(row: Row, identity: Identity, parcel: Parcel) -> None:
    """Refuse a record that was altered, and values of users that are not its own."""
    record = stored.record_of(SimpleNamespace(**row), identity)
    values = parcel.read_blob(record.per_user)
    try:
        digest = result_digest(record.cell, record.model.params, record.metrics, values)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise DataError(f"its values of users cannot be read ({error})") from error
    if digest != record.result_digest:
        raise DataError("its digest is not that of its hyperparameters, metrics and values")


def _sound_trials(parcel: Parcel, searches: set[str], merged: Merged) -> list[Row]:
    """Return the trials of each search up to the first that is damaged or missing."""
    sound: list[Row] = []
    expected: dict[str, int] = defaultdict(int)
    for row in sorted(parcel.of(tables.TRIALS), key=lambda row: (row["search"], row["number"])):
        search, number = row["search"], row["number"]
        if expected[search] < 0:
            continue
        try:
            if search not in searches:
                raise DataError("it belongs to no cell that is there")
            if number != expected[search]:
                raise DataError(f"trial {expected[search]} is missing")
            stored.check_hash(row["trial"], row["trial_hash"], "trials", "trial", search)
            (trial,) = read_trials([json.loads(row["trial"])], "it")
            if trial.number != number:
                raise DataError("it has another number")
        except (*FAULTS, ValueError, RecursionError) as error:
            place = f"trial {number} of the search {search[:12]}"
            merged.refused.append(f"{place}: {_in_a_line(error)}")
            expected[search] = -1  # later trials were suggested because of this one
        else:
            sound.append(row)
            expected[search] += 1
    return sound


def _drop_torn_experiments(parcel: Parcel, rows: dict[str, list[Row]], merged: Merged) -> None:
    """Leave out experiments some of whose cells are left out."""
    whole = {
        (row["name"], row["grid_hash"]): row["name"]
        for row in rows.get(tables.EXPERIMENTS.name, ())
    }
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows.get(tables.MEMBERS.name, ()):
        places[row["name"], row["grid_hash"]].append(row["place"])
    for version, name in list(whole.items()):
        listed = sum((r["name"], r["grid_hash"]) == version for r in parcel.of(tables.MEMBERS))
        if sorted(places[version]) != list(range(max(listed, 1))):
            merged.refused.append(f"the experiment {name!r}: some of its cells are damaged")
            del whole[version]
    for table in (tables.EXPERIMENTS, tables.MEMBERS, tables.SUPERSEDED):
        found = rows.get(table.name, [])
        rows[table.name] = [row for row in found if (row["name"], row["grid_hash"]) in whole]


def _in_a_line(error: Any) -> str:
    return " ".join(str(error).split())[:300]
