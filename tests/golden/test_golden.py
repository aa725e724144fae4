"""Golden files: keys of cells, records, help texts, tables and snapshots, byte for byte.

They pin what users keep or read: if a key changes, finished cells count as not run; if a record or
snapshot changes, it is no longer what was cited. When a change is intended, rewrite the files:

    RECREPRO_UPDATE_GOLDEN=1 pytest tests/golden

Commit changed golden files in a commit of their own that gives the reason. Other versions of pandas
and pyarrow write the same values as other bytes, so tests that involve hashes of Parquet files are
skipped unless the versions are those of constraints.txt.
"""

import difflib
import hashlib
import importlib.metadata
import itertools
import json
import os
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

# These are all the imports from recrepro. The fixture `patched` sets what enters keys and tables:
# - `recrepro.__version__`, because snapshots contain it;
# - `importlib.metadata.distribution`, because the version of Optuna is part of a key;
# - `sys.modules["mlflow"]`, so that no time is spent on copying to MLflow.
# Cells run in processes of their own, where nothing can be patched: `inject` replaces times, code
# and machine in the ledger (plain SQLite) after the run.
import recrepro
from recrepro.cli import cli
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment

pytestmark = pytest.mark.slow  # a whole run

FILES = Path(__file__).with_name("files")
EXPERIMENTS = Path(__file__).with_name("experiments")
PLANNED = ["tuned", "folds", "neural", "features", "negatives", "lists"]
RUN = EXPERIMENTS / "measured.toml"
PARQUET_WRITERS = {"pandas": "3.1.1", "pyarrow": "25.0.1"}
"""Versions that wrote the Parquet files whose hashes are in the golden files."""

SECOND = 1_750_000_000.0
PROVENANCE = {
    "recrepro": "0.0.0",
    "code": {"commit": "c" * 40, "dirty": False, "diff": None},
    "python": "3.11.0",
    "packages": {"numpy": "2.0.0"},
    "locks": {"constraints": "d" * 64, "installed": "e" * 64},
    "system": "System",
    "processor": "Processor",
    "cores": 2,
    "memory_bytes": 8_000_000_000,
    "threads": 1,
    "thread_pools": [],
    "gpus": [],
}
LAP = {"wall_s": 2.5, "cpu_s": 1.5}
MEASURED = {
    "peak_memory_bytes": 100_000_000,
    "started_at": SECOND,
    "ended_at": SECOND + 60,
    "provenance": PROVENANCE,
}
INJECTED = {
    "cell": MEASURED
    | {"base": "/experiments", "energy_joules": 12.5}
    | {"times": {"tune": LAP, "fit": LAP, "score": LAP}},
    "external": MEASURED | {"times": {"score": {"wall_s": 2.5}}},
}
"""Replacements for the fields of a record that differ between runs or machines."""


def compare(name, text):
    """Compare a text with a golden file, or write the file if RECREPRO_UPDATE_GOLDEN is 1."""
    path = FILES / name
    if os.environ.get("RECREPRO_UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return
    golden = path.read_bytes().decode() if path.is_file() else ""
    if text != golden:
        lines = (one.splitlines(keepends=True) for one in (golden, text))
        diff = "".join(difflib.unified_diff(*lines, f"golden {name}", "now"))
        pytest.fail(f"{diff}\nIf this is intended, see the top of {__file__}.", pytrace=False)


def call(*arguments):
    """Run a command in this process, with help texts of 80 columns; return its output."""
    done = CliRunner().invoke(
        cli, [str(a) for a in arguments], prog_name="recrepro", terminal_width=80
    )
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def write_data(folder):
    """Write the files that the experiments read; no random numbers are drawn."""
    pairs = [
        (u, i) for u in range(16) for i in range(12) if (u * u + 3 * i * i + u * i) % 11 > i % 4
    ]
    log = pd.DataFrame(pairs, columns=["who", "what"])
    log["stars"] = 1 + (log.who + 2 * log.what) % 5
    log["when"] = 1_600_000_000 + 1000 * ((37 * log.index) % 151)
    log.to_csv(folder / "log.csv", index=False)
    held_out = log.groupby("who").nth(0)
    held_out.to_csv(folder / "test.csv", index=False)
    log.drop(held_out.index).to_csv(folder / "train.csv", index=False)
    others = {u: [i for i in range(12) if (u, i) not in pairs] for u in range(16)}
    lines = [
        "\t".join([f"({one.who},{one.what})", *map(str, others[one.who])])
        for one in held_out.itertuples()
    ]
    (folder / "negatives.txt").write_text("\n".join(lines) + "\n")
    (folder / "items.txt").write_text("\n".join(map(str, range(9))) + "\n")
    kinds = [f"{i},{'old|blue' if i % 2 else 'new'},{i / 2}" for i in range(12)]
    (folder / "catalogue.csv").write_text("\n".join(["what,kind,price", *kinds]) + "\n")
    people = [f"{u},{'town' if u % 3 else 'land'},{u % 4}" for u in range(16)]
    (folder / "people.csv").write_text("\n".join(["who,place,age", *people]) + "\n")
    friends = [f"{u},{(5 * u + 1) % 16}" for u in range(16)]
    (folder / "friends.csv").write_text("\n".join(["who,friend", *friends]) + "\n")
    # A run file of another program, without a list for user 15.
    lists = [(u, (u + 3 * rank) % 12, rank) for u in range(15) for rank in range(1, 5)]
    pd.DataFrame(lists, columns=["user", "item", "rank"]).to_csv(
        folder / "theirs.tsv", sep="\t", index=False
    )


@pytest.fixture(scope="module")
def patched():
    """Fix the versions for the time of these tests, and make MLflow impossible to import."""
    found = importlib.metadata.distribution

    def distribution(name):
        return SimpleNamespace(version="0.0.1") if name == "optuna" else found(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recrepro, "__version__", "0.0.0")
        patch.setattr(importlib.metadata, "distribution", distribution)
        patch.setitem(sys.modules, "mlflow", None)
        for name in ("RECREPRO_WORKSPACE", "RECREPRO_LEDGER", "RECREPRO_DATA", "NO_COLOR"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


def hash_of(text):
    return hashlib.sha256(text.encode()).hexdigest()


def replaced(found, injected):
    """Return the injected values; the names of nested fields must be those that were found."""
    if not isinstance(injected, dict):
        return injected
    assert list(found) == list(injected)
    return {name: replaced(found[name], value) for name, value in injected.items()}


def inject(database):
    """Replace the values in a ledger that differ between runs or machines.

    The names of the replaced fields, and how JSON is stored, are checked here.
    """
    ledger = sqlite3.connect(database)
    rows = ledger.execute("SELECT cell, record FROM cells").fetchall()
    for cell, text in rows:
        record = json.loads(text)
        assert text == json.dumps(record), "records are stored in another way"
        external = "external" in record["identity"]
        packages = record["provenance"]["packages"]
        record["provenance"]["packages"] = {"numpy": packages["numpy"]}
        for name, value in INJECTED["external" if external else "cell"].items():
            record[name] = replaced(record[name], value)
        for number, opening in enumerate(record.get("openings", [])):
            opening["at"] = SECOND + number
        if "rankings" in record:  # a locked file is another one each time
            record["rankings"]["sha256"] = "f" * 64
        if record["tuning"]:
            record["tuning"]["seconds"] = record["tuning"]["trials"] * 0.5
            record["tuning"]["best"]["seconds"] = 0.5
        values = (json.dumps(record), hash_of(json.dumps(record)), cell)
        ledger.execute("UPDATE cells SET record = ?, record_hash = ? WHERE cell = ?", values)
    found = ledger.execute("SELECT search, number, trial FROM trials").fetchall()
    for search, number, text in found:
        trial = json.loads(text)
        assert text == json.dumps(trial), "trials are stored in another way"
        trial["seconds"] = 0.5
        changed = json.dumps(trial)
        key = (changed, hash_of(changed), search, number)
        change = "UPDATE trials SET trial = ?, trial_hash = ? WHERE search = ? AND number = ?"
        ledger.execute(change, key)
    ledger.execute("UPDATE openings SET opened_at = ?", (SECOND,))
    ledger.commit()
    ledger.close()


@pytest.fixture(scope="module")
def workspace(patched, data):
    """Run a small experiment and score a run file; return the workspace of both."""
    (data / RUN.name).write_bytes(RUN.read_bytes())
    place = ("--workspace", data / "runs")
    call("run", data / RUN.name, "--jobs", "1", *place)
    call("evaluate", data / "theirs.tsv", "--on", data / RUN.name, "--seed", "1", *place)
    inject(data / "runs" / "ledger.db")
    return data / "runs"


@pytest.fixture
def same_parquet():
    """Skip the test if Parquet files of the same values have other bytes here."""
    here = {"pandas": pd.__version__, "pyarrow": pa.__version__}
    if here != PARQUET_WRITERS:
        pytest.skip(f"hashes of Parquet files are pinned for {PARQUET_WRITERS}, here is {here}")


def from_ledger(workspace, query):
    ledger = sqlite3.connect(workspace / "ledger.db")
    rows = ledger.execute(query).fetchall()
    ledger.close()
    return rows


@pytest.mark.parametrize("name", PLANNED)
def test_keys_of_cells_and_hash_of_the_grid(patched, data, name):
    experiment = load_experiment(EXPERIMENTS / f"{name}.toml")
    plan = make_plan(experiment, data, None, progress=False)
    lines = [f"grid {experiment.grid_hash}"]
    for cell in plan.cells:
        one = cell.name
        titles = [one.dataset, one.split, one.model, one.seed, one.fold]
        titled = " / ".join(str(title) for title in titles if title is not None)
        lines += ["", titled, f"  key {cell.key}"]
        # With the identity, a diff shows which part of it changed the key.
        identity = cell.identity.to_json()
        lines += [f"  {part} {json.dumps(value)}" for part, value in identity.items()]
    compare(f"keys/{name}.txt", "\n".join([*lines, ""]))


@pytest.mark.usefixtures("same_parquet")
@pytest.mark.parametrize("name", ["toppopular", "itemknn", "theirs"])
def test_record(workspace, name):
    rows = from_ledger(workspace, "SELECT record, identity, result_digest, state FROM cells")
    records = [json.loads(row[0]) for row in rows]
    number = [(r["titles"]["model"], r["titles"]["seed"]) for r in records].index((name, 1))
    record, (_, identity, digest, state) = records[number], rows[number]
    blobs = [path for path in workspace.rglob("*") if record["per_user"] in path.name]
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in blobs] == [record["per_user"]]
    assert json.loads(identity) == record["identity"]
    assert (digest, state) == (record["result_digest"], "done")
    compare(f"records/{name}.json", json.dumps(record, indent=1) + "\n")


def test_trials(workspace):
    rows = from_ledger(workspace, "SELECT search, trial FROM trials ORDER BY search, number")
    compare("records/trials.txt", "".join(f"{search} {trial}\n" for search, trial in rows))


def commands(command, path=()):
    """Yield the path of names of a command and of all commands below it."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))


@pytest.mark.parametrize("path", [*commands(cli)], ids=lambda path: " ".join(path) or "recrepro")
def test_help(path):
    compare(f"help/{'-'.join(('recrepro', *path))}.txt", call(*path, "--help"))


def test_no_help_of_a_removed_command():
    known = {f"{'-'.join(('recrepro', *path))}.txt" for path in commands(cli)}
    assert {path.name for path in (FILES / "help").iterdir()} == known


TABLES = [
    *itertools.product(["leaderboard"], ["text", "md", "csv", "tex", "html", "json"], [()]),
    ("leaderboard", "text", ("--reference", "toppopular")),
    ("leaderboard", "text", ("--by", "activity")),
    ("leaderboard", "text", ("--by", "popularity")),
    ("leaderboard", "text", ("--no-intervals",)),
    *itertools.product(["compare"], ["text", "md", "json"], [()]),
    ("compare", "text", ("--metric", "mrr@2", "--reference", "toppopular")),
]


@pytest.mark.parametrize(("verb", "form", "options"), TABLES)
def test_table(workspace, data, verb, form, options):
    place = ("--workspace", workspace, "--format", form)
    name = "-".join([verb, *(option.strip("-") for option in options)])
    ending = "txt" if form == "text" else form
    compare(f"tables/{name}.{ending}", call(verb, data / RUN.name, *place, *options))


@pytest.mark.usefixtures("same_parquet")
def test_snapshot(workspace, data, tmp_path):
    about = ("--author", "Curie, Marie", "--url", "https://example.org/snapshot")
    folder = tmp_path / "snapshot"
    said = call("cite", data / RUN.name, folder, "--workspace", workspace, *about)
    compare("snapshot/said.txt", said.replace(str(folder), "snapshot"))
    compare("snapshot/SHA256SUMS", (folder / "SHA256SUMS").read_text())
    for name in ("snapshot.json", "citation.bib", "CITATION.cff", "croissant.json"):
        compare(f"snapshot/{name}", (folder / name).read_text())
    assert "Nothing was changed" in call("verify", folder)
