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
from pathlib import Path
from typing import Any

from recrepro.errors import RecreproError
from recrepro.publish.citation import Citation, bibtex, citation_file, croissant
from recrepro.spec.experiment import Experiment, load_experiment
from recrepro.store.entries import CellStatus
from recrepro.store.names import CellName
from recrepro.store.openings import Opening
from recrepro.store.records import Record, read_trials
from recrepro.store.results import Result
from recrepro.store.searches import Before
from recrepro.tables import formats
from recrepro.tables import verdicts as judgements

SCHEMA = 1
SUMS = "SHA256SUMS"
CITED = ("citation.bib", "CITATION.cff", "croissant.json")
"""Files that name the content hash, and so cannot be in it."""


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
        lambda: (
            read_trials(json.loads(read("trials")), files["trials"]) if "trials" in files else []
        ),
        lambda: read("per_user"),
    )
