"""The tables of the ledger; what their rows mean is said in `recrepro.store.ledger`."""

from typing import Literal, get_args

import sqlalchemy as sa

CellState = Literal["pending", "leased", "done", "failed"]

Reason = Literal["first", "resumed", "reopened", "refused", "external", "inline"]
"""Why the test part was opened: for the first time; again, because an attempt that had opened it
ended without a result; again, on request, though there was a result; for a run file that another
program made; for the same cell in the caller's process (`--executor inline`). Or it was asked for
before tuning was over, and was not opened."""

METADATA = sa.MetaData()

META = sa.Table(
    "meta",
    METADATA,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
EXPERIMENTS = sa.Table(
    "experiments",
    METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("grid_hash", sa.String(64), primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("planned_at", sa.Float, nullable=False),
)
MEMBERS = sa.Table(
    "experiment_cells",
    METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("grid_hash", sa.String(64), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("cell", sa.String(64), nullable=False),
    sa.Column("titles", sa.Text, nullable=False),
)
SUPERSEDED = sa.Table(
    "superseded",
    METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("grid_hash", sa.String(64), primary_key=True),
    sa.Column("cell", sa.String(64), primary_key=True),
    sa.Column("titles", sa.Text, nullable=False),
    sa.Column("replaced_at", sa.Float, nullable=False),
)
WITHDRAWN = sa.Table(
    "withdrawn",
    METADATA,
    sa.Column("cell", sa.String(64), primary_key=True),
    sa.Column("because", sa.Text, nullable=False, info={"filled": True}),
    sa.Column("withdrawn_at", sa.Float, nullable=False),
)
CHECKED = sa.Table(
    "checked_code",
    METADATA,
    sa.Column("code", sa.String(64), primary_key=True),
    sa.Column("checked_at", sa.Float, nullable=False),
)
EXTERNALS = sa.Table(
    "externals",
    METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("cell", sa.String(64), primary_key=True),
    sa.Column("titles", sa.Text, nullable=False),
    sa.Column("added_at", sa.Float, nullable=False),
)
CELLS = sa.Table(
    "cells",
    METADATA,
    sa.Column("cell", sa.String(64), primary_key=True),
    sa.Column("search", sa.String(64), nullable=False, index=True),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("state", sa.String(8), nullable=False, info={"words": get_args(CellState)}),
    sa.Column("token", sa.String(32)),
    sa.Column("owner", sa.Text),
    sa.Column("deadline", sa.Float),
    sa.Column("reason", sa.Text),
    sa.Column("record", sa.Text),
    sa.Column("record_hash", sa.String(64)),
    sa.Column("result_digest", sa.String(64)),
    sa.Column("fit", sa.String(64)),
    sa.Column("ended_at", sa.Float),
)
TRIALS = sa.Table(
    "trials",
    METADATA,
    sa.Column("search", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("trial", sa.Text, nullable=False),
    sa.Column("trial_hash", sa.String(64)),
)
OPENINGS = sa.Table(
    "openings",
    METADATA,
    sa.Column("cell", sa.String(64), primary_key=True),
    sa.Column("token", sa.String(32), primary_key=True),
    sa.Column("opened_at", sa.Float, nullable=False),
    sa.Column("reason", sa.String(8), nullable=False, info={"words": get_args(Reason)}),
)
ALARMS = sa.Table(
    "alarms",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("cell", sa.String(64), nullable=False),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("raised_at", sa.Float, nullable=False),
)
ANNOUNCED = sa.Table(
    "announced_blobs",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("cell", sa.String(64), nullable=False),
    sa.Column("announced_at", sa.Float, nullable=False),
)

AS_OLDER = (
    """CREATE TEMPORARY VIEW cells AS SELECT cell, cell AS search, identity, state, token, owner,
    deadline, reason, record, NULL AS record_hash, result_digest, NULL AS fit, ended_at
    FROM {old}.cells""",
    """CREATE TEMPORARY VIEW trials AS SELECT cell AS search, number, trial, NULL AS trial_hash
    FROM {old}.trials""",
    """CREATE TEMPORARY TABLE superseded
    (name TEXT, grid_hash TEXT, cell TEXT, titles TEXT, replaced_at FLOAT)""",
    "CREATE TEMPORARY TABLE withdrawn (cell TEXT, because TEXT, withdrawn_at FLOAT)",
    "CREATE TEMPORARY TABLE checked_code (code TEXT, checked_at FLOAT)",
    "CREATE TEMPORARY TABLE announced_blobs (digest TEXT, cell TEXT, announced_at FLOAT)",
)
"""What makes the tables of schema 2, of harness 3 and before, look like those above to a reader."""
