"""A snapshot: a folder with all that the tables of an experiment are made from, under one hash.

::

    experiment.toml                       as it was run
    snapshot.json                         the cells, and which file belongs to which
    records/, trials/, per_user/          a file for each cell that has one
    leaderboard.*                         the tables, in each format
    verdict.json                          is each judged model better than the best baseline
    SHA256SUMS                            of all files above; its own SHA-256 is the content hash
    citation.bib, CITATION.cff, croissant.json    made from the files above and the content hash
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import recrepro
from recrepro.compute.failpoints import reach
from recrepro.durable import new_folder
from recrepro.errors import RecreproError, UsageError
from recrepro.publish.citation import Citation, bibtex, citation_file, croissant
from recrepro.spec.experiment import Experiment, load_experiment
from recrepro.store.entries import CellStatus
from recrepro.store.names import CellName
from recrepro.store.openings import Opening
from recrepro.store.records import Record, Trial
from recrepro.store.results import Result
from recrepro.store.searches import Before
from recrepro.tables import formats
from recrepro.tables import verdicts as judgements

SCHEMA = 1
SUMS = "SHA256SUMS"
CITED = ("citation.bib", "CITATION.cff", "croissant.json")
"""Files that name the content hash, and so cannot be in it."""


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
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    files[SUMS] = sums_file(sums)
    try:
        with new_folder(target) as draft:
            citation = _write(draft, files, sums)
            reach("snapshot-drafted")
            return citation
    except OSError as error:
        raise RecreproError(f"cannot write to {target.parent}: {error}.") from error


def _write(draft: Path, files: dict[str, bytes], sums: dict[str, str]) -> Citation:
    for path, content in files.items():
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
        "state": status.state,
        "reason": status.reason,
        "alarmed": status.alarmed,
        "openings": [asdict(opening) for opening in status.openings],
        "before": status.before.to_json(),
        "withdrawn": status.withdrawn,
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


def table_files(
    experiment: Experiment, results: Sequence[Result], reference: str | None
) -> dict[str, bytes]:
    """Return the files that are computed from the results, by path."""
    content = formats.contents(experiment, results, reference)
    files = {f"leaderboard.{end}": form.write(*content) for end, form in formats.FORMATS.items()}
    files["verdict.json"] = judgements.to_json(content[2])
    return {path: text.encode() for path, text in files.items()}


def sums_file(sums: dict[str, str]) -> bytes:
    """Write hashes as `sha256sum` does, sorted by path."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(sums.items())).encode()


def cited_files(about: Citation, sums: dict[str, str]) -> dict[str, str]:
    """Return the files that name the content hash, by path."""
    texts = (bibtex(about), citation_file(about), croissant(about, sums))
    return dict(zip(CITED, texts, strict=True))


def cite(folder: Path) -> Citation:
    """Read how a snapshot is cited from its other files."""
    about = read_about(folder)
    return Citation(
        about["name"],
        load_experiment(folder / "experiment.toml").claim,
        tuple(about["authors"]),
        about["url"],
        about["date"],
        about["recrepro"],
        hashlib.sha256((folder / SUMS).read_bytes()).hexdigest(),
    )


def read_about(folder: Path) -> dict[str, Any]:
    """Read what a snapshot says of itself and its cells.

    Raises
    ------
    RecreproError
        If another recrepro wrote it.
    """
    about: dict[str, Any] = json.loads((folder / "snapshot.json").read_bytes())
    if about["schema"] != SCHEMA:
        raise RecreproError(
            f"the snapshot {folder} has schema {about['schema']}, this recrepro reads {SCHEMA}."
        )
    return about


def results_of_snapshot(folder: Path) -> list[Result]:
    """Return the cells of a snapshot, as tables, tests and reports read them.

    `recrepro.publish.verify` tells whether the snapshot is unchanged; a path that leads out of the
    folder is refused here, too.
    """
    return [_result(folder, entry) for entry in read_about(folder)["cells"]]


def _result(folder: Path, entry: dict[str, Any]) -> Result:
    files = entry["files"]

    def read(kind: str) -> bytes:
        path: Path = (folder / files[kind]).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise RecreproError(f"the snapshot {folder} names a file outside of it: {path}.")
        return path.read_bytes()

    status = CellStatus(
        entry["cell"],
        entry["state"],
        entry["reason"],
        Record.read(read("records"), files["records"]) if "records" in files else None,
        entry["alarmed"],
        tuple(Opening(**opening) for opening in entry["openings"]),
        Before.from_json(entry.get("before")),
        entry.get("withdrawn"),
    )
    return Result(
        CellName(**entry["titles"]),
        status,
        lambda: [Trial(**t) for t in json.loads(read("trials"))] if "trials" in files else [],
        lambda: read("per_user"),
    )
