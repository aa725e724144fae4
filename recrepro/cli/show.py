"""`recrepro show`: print the record of a run."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from recrepro.cli.console import make_console, without_control_characters
from recrepro.cli.options import (
    ledger_url,
    run_argument,
    workspace_option,
)
from recrepro.reproduce.locate import find_run
from recrepro.spec.budget import how
from recrepro.store.entries import Member
from recrepro.store.names import paths
from recrepro.tables.console import plain_table
from recrepro.words import size


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
    """Print what is recorded of a RUN: what was run, what came out, where it was made.

    \b
    RUN is a record file (record.json), an MLflow run id, or a cell:
    dataset/split/model/seed N, or 8 or more characters of its key
    """
    record = find_run(run, workspace, ledger_url()).record
    if form == "json":
        click.echo(json.dumps(record, indent=1))
    else:
        show_record(make_console(), record)


def show_record(console: Console, record: Mapping[str, Any]) -> None:
    """Print a record: what was run, what came out, where it was made."""
    titles = record["titles"]
    whole = all(part in titles for part in ("dataset", "split", "model", "seed"))
    name = paths(Member(record["cell"], dict(titles)))[-1] if whole else record["cell"]
    console.print(Text(without_control_characters(name), style="bold"), soft_wrap=True)
    for title, rows in (
        ("What was run", _what(record)),
        ("What came out", _outcome(record)),
        ("Where it was made", _where(record["provenance"])),
    ):
        table = plain_table(title)
        table.show_header = False
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for label, value in rows:
            if value not in (None, "", {}, []):
                table.add_row(Text(label), Text(without_control_characters(_text(value))))
        console.print(table)


def _what(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    identity, model, split = record["identity"], record["model"], record["split"]
    drawn = identity.get("split", {})
    yield "cell", record["cell"]
    yield "model", f"{model.get('name')} version {model.get('version')} ({model.get('status')})"
    yield "hyperparameters", model.get("params")
    tuning = record.get("tuning")
    if tuning:
        if identity.get("tuning"):
            yield "budget", how(identity["tuning"])
        text = f"{tuning['trials']} trials, {tuning['failed']} failed"
        text += f", {tuning['pruned']} pruned" if tuning.get("pruned") else ""
        if tuning.get("stopped"):
            text += f", the last one out of time after epoch {tuning['stopped']}"
        best = tuning["best"]
        text += f"; best {tuning['metric']} {best['value']:.4f} in trial {best['number']}"
        yield "search", text
    yield "split", f"{drawn.get('strategy')} {_text(drawn.get('options') or {})}"
    yield "seed", drawn.get("seed")
    yield "ranked against", drawn.get("candidates")
    yield "audit", (split.get("audit") or {}).get("verdict")
    yield "data fingerprint", identity.get("data", {}).get("fingerprint")
    yield "split fingerprint", split.get("fingerprint")
    yield "harness version", identity.get("harness")
    yield "record schema", record.get("schema")


def _outcome(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    definitions = record.get("definitions") or {}
    for name, value in record["metrics"].items():
        formula = definitions.get(name, {}).get("formula", "")
        yield name, f"{value:.6f}  {formula}" if isinstance(value, float) else value
    yield "users", record.get("users")
    yield "test part opened", ", ".join(str(o["reason"]) for o in record.get("openings") or [])
    yield "result digest", record["result_digest"]
    for lap, spent in (record.get("times") or {}).items():
        processor = f", processor {spent['cpu_s']:.3f} s" if "cpu_s" in spent else ""
        yield lap, f"{spent['wall_s']:.3f} s{processor}"
    yield "peak memory", size(record["peak_memory_bytes"])
    joules = record.get("energy_joules")
    yield "energy", None if joules is None else f"{joules:.1f} J, of the whole machine"
    yield "started", _moment(record["started_at"])
    yield "ended", _moment(record["ended_at"])


def _where(provenance: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    code = provenance.get("code") or {}
    changed = " with changes" if code.get("dirty") else ""
    yield "recrepro", provenance.get("recrepro")
    yield "commit", f"{code['commit']}{changed}" if code.get("commit") else None
    yield "changes (hash)", code.get("diff")
    yield "Python", provenance.get("python")
    yield "system", provenance.get("system")
    yield "processor", provenance.get("processor")
    yield "cores", provenance.get("cores")
    memory = provenance.get("memory_bytes")
    yield "memory", None if memory is None else size(memory)
    yield "threads", provenance.get("threads")
    for pool in provenance.get("thread_pools") or []:
        yield "library", {k: v for k, v in pool.items() if v is not None}
    for gpu in provenance.get("gpus") or []:
        yield "GPU", gpu
    for lock, digest in (provenance.get("locks") or {}).items():
        yield f"lock of {lock}", digest
    yield "packages", provenance.get("packages")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(one)}" for key, one in value.items())
    return str(value)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
