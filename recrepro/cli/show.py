"""`recrepro show`: print the record of a run."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from recrepro.cli.console import make_console
from recrepro.cli.options import (
    ledger_url,
    run_argument,
    workspace_option,
)
from recrepro.reproduce.locate import find_run
from recrepro.spec.budget import how
from recrepro.store.records import CodeState, Provenance, Record
from recrepro.tables.console import plain_table
from recrepro.text.words import size


@click.command()
@run_argument
@workspace_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: the whole record.",
)
def show(run: str, workspace: Path, form: str) -> None:
    """Print the record of a RUN.

    It says what was run, what came out, and where it was made.

    \b
    RUN is a record file (record.json), an MLflow run id, or a cell:
    dataset/split/model/seed N, or 8 or more characters of its key
    """
    record = find_run(run, workspace, ledger_url()).record
    if form == "json":
        click.echo(json.dumps(record.to_json(), indent=1))
    else:
        show_record(make_console(), record)


def show_record(console: Console, record: Record) -> None:
    """Print a record: what was run, what came out, where it was made."""
    console.print(Text(record.name.path, style="bold"), soft_wrap=True)
    for title, rows in (
        ("What was run", _what(record)),
        ("What came out", _outcome(record)),
        ("Where it was made", _where(record.provenance)),
    ):
        table = plain_table(title)
        table.show_header = False
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for label, value in rows:
            if value not in (None, "", {}, []):
                table.add_row(Text(label), Text(_text(value)))
        console.print(table)


def _what(record: Record) -> Iterator[tuple[str, Any]]:
    identity, model, tuning = record.identity, record.model, record.tuning
    yield "cell", record.cell
    yield "model", f"{model.name} version {model.version} ({record.state})"
    yield "role", model.role
    yield "sealed off by", ", ".join(record.confined_by)
    if model.code is not None:
        repository = model.code.repository
        yield "code", model.code.place
        yield "code (fingerprint)", model.code.fingerprint
        yield "its commit", _commit(repository)
        yield "its changes (hash)", repository.diff
    yield "hyperparameters", model.params
    if tuning is not None:
        if identity.tuning:
            yield "budget", how(identity.budget, identity.tuning)
        text = f"{tuning.trials} trials, {tuning.failed} failed"
        text += f", {tuning.pruned} pruned" if tuning.pruned else ""
        if tuning.stopped:
            text += f", the last one out of time after epoch {tuning.stopped}"
        best = tuning.best
        yield "search", f"{text}; best {tuning.metric} {best.value:.4f} in trial {best.number}"
    yield "split", f"{identity.split.strategy} {_text(identity.split.options)}"
    yield "seed", identity.split.seed
    yield "ranked against", identity.split.candidates
    yield "audit", record.split.audit.words
    yield "data fingerprint", identity.data.fingerprint
    yield "split fingerprint", record.split.fingerprint
    yield "harness version", identity.harness
    yield "record schema", record.schema_version


def _outcome(record: Record) -> Iterator[tuple[str, Any]]:
    for name, value in record.metrics.items():
        known = record.definitions.get(name)
        yield name, f"{value:.6f}  {known.formula if known else ''}".rstrip()
    yield "users", record.users
    yield "test part opened", ", ".join(opening.reason for opening in record.openings)
    if record.rescored is not None:
        yield "computed from", f"the rankings of cell {record.rescored[:12]}, without a fit"
    yield "result digest", record.result_digest
    for lap, spent in record.times.items():
        processor = "" if spent.cpu_s is None else f", processor {spent.cpu_s:.3f} s"
        yield lap, f"{spent.wall_s:.3f} s{processor}"
    yield "peak memory", size(record.peak_memory_bytes)
    joules = record.energy_joules
    yield "energy", None if joules is None else f"{joules:.1f} J, of the whole machine"
    yield "started", _moment(record.started_at)
    yield "ended", _moment(record.ended_at)


def _where(provenance: Provenance) -> Iterator[tuple[str, Any]]:
    code = provenance.code
    yield "recrepro", provenance.recrepro
    yield "commit", _commit(code)
    yield "changes (hash)", code.diff
    yield "Python", provenance.python
    yield "system", provenance.system
    yield "processor", provenance.processor
    yield "cores", provenance.cores
    yield "memory", size(provenance.memory_bytes)
    yield "threads", provenance.threads
    for pool in provenance.thread_pools:
        yield "library", {k: v for k, v in pool.items() if v is not None}
    for gpu in provenance.gpus:
        yield "GPU", gpu
    for lock, digest in provenance.locks.items():
        yield f"lock of {lock}", digest
    yield "packages", provenance.packages


def _commit(code: CodeState) -> str | None:
    return code.commit and f"{code.commit}{' with changes' if code.dirty else ''}"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(one)}" for key, one in value.items())
    return str(value)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
