"""Writes a snapshot; `recrepro.publish.snapshot` says what is in one."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import recrepro
from recrepro.compute.failpoints import reach
from recrepro.durable import new_folder
from recrepro.errors import RecreproError, UsageError
from recrepro.publish.citation import Citation
from recrepro.publish.snapshot import SCHEMA, SUMS, cite, cited_files, sums_file, table_files
from recrepro.publish.verify import problems_of
from recrepro.spec.experiment import load_experiment
from recrepro.store.results import Result


def write_snapshot(
    experiment_file: Path,
    results: Sequence[Result],
    target: Path,
    *,
    reference: str | None = None,
    authors: Sequence[str] = (),
    url: str | None = None,
) -> Citation:
    """Write a snapshot: the same results give the same bytes.

    Parameters
    ----------
    experiment_file : Path
        The experiment.
    results : sequence of Result
        Its cells.
    target : Path
        A folder that is not there yet.
    reference : str, optional
        A model that the tables compare the others with, beside the best.
    authors : sequence of str
        Whom to cite, such as ``"Curie, Marie"``.
    url : str, optional
        Where the snapshot will be published.

    Raises
    ------
    UsageError
        If the folder is there, the address is none, or no cell has a result.
    RecreproError
        If the snapshot would not be verified; nothing is written then.
    """
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} is there already; a snapshot never replaces anything.")
    if url is not None and not url.startswith(("http://", "https://")):
        raise UsageError(f"--url {url!r} is no web address: it starts with https:// or http://.")
    if url is not None and not (
        url.isascii() and url.isprintable() and not set(' {}\\"') & set(url)
    ):
        raise UsageError(f"--url {url!r}: write blanks, braces and the like as %20, %7B, ...")
    ends = [result.record.ended_at for result in results if result.record]
    if not ends:
        raise UsageError(
            f"no cell of {experiment_file} has a result yet: there is nothing to cite."
        )
    about: dict[str, Any] = {
        "schema": SCHEMA,
        "name": experiment_file.stem,
        "recrepro": recrepro.__version__,
        "date": datetime.fromtimestamp(max(ends), UTC).date().isoformat(),
        "authors": list(authors),
        "url": url,
        "reference": reference,
        "cells": [],
    }
    files: dict[str, bytes] = {"experiment.toml": experiment_file.read_bytes()}
    for result in results:
        entry, content = _cell(result)
        about["cells"].append(entry)
        files |= content
    files["snapshot.json"] = _json(about)
    files |= table_files(load_experiment(experiment_file), results, reference)
    try:
        with new_folder(target) as draft:
            citation = _write(draft, files)
            # The tables were made of the results that are in the draft.
            problems = problems_of(draft, tables=False)
            if problems:
                raise RecreproError(
                    f"{experiment_file.stem} cannot be cited, because a snapshot of it would not "
                    f"be verified: {'; '.join(problems)}. Nothing was written. Restore the "
                    "workspace from a copy, or test the cell again: recrepro run EXPERIMENT "
                    "--reopen NAME."
                )
            reach("snapshot-drafted")
            return citation
    except OSError as error:
        raise RecreproError(f"cannot write to {target.parent}: {error}.") from error


def _write(draft: Path, files: dict[str, bytes]) -> Citation:
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    for path, content in {**files, SUMS: sums_file(sums)}.items():
        _write_file(draft / path, content)
    citation = cite(draft)
    for path, text in cited_files(citation, sums).items():
        _write_file(draft / path, text.encode())
    return citation


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o444)


def _cell(result: Result) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what `snapshot.json` says of a cell, and its files."""
    status = result.status
    entry: dict[str, Any] = {
        "titles": result.name.model_dump(),
        "cell": status.cell,
        **status.facts(),
    }
    contents: dict[str, bytes] = {}
    trials = result.read_trials()
    if trials:
        contents["trials"] = _json([trial.to_json() for trial in trials])
    if result.record:
        contents |= {"records": _json(result.record.to_json()), "per_user": result.read_per_user()}
    endings = {"per_user": "parquet"}
    named = {
        kind: (f"{kind}/{_file_name(status.cell)}.{endings.get(kind, 'json')}", content)
        for kind, content in contents.items()
    }
    entry["files"] = {kind: path for kind, (path, _) in named.items()}
    return entry, dict(named.values())


def _file_name(cell: str) -> str:
    """Return the start of a key; a key that is not a hash may not become a path."""
    if len(cell) != 64 or not set(cell) <= set("0123456789abcdef"):
        raise RecreproError(f"{cell!r} is no key of a cell: 64 hexadecimal digits.")
    return cell[:16]


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
