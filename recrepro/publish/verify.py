"""What `recrepro verify` does: whether a snapshot is whole, unchanged, and says what follows."""

import hashlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import recrepro
from recrepro.errors import UsageError
from recrepro.publish.snapshot import (
    CITED,
    SUMS,
    cite,
    cited_files,
    read_about,
    results_of_snapshot,
    sums_file,
    table_files,
)
from recrepro.spec.experiment import load_experiment
from recrepro.store.results import Result, result_digest
from recrepro.store.rows import missing_opening

DIGESTED = 4
"""The harness since which a result's digest is made of what a snapshot holds."""

_NUMBER = re.compile(r"(\d+\.\d+(?:e[-+]?\d+)?)")
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)?)")


def problems_of(folder: Path, content_hash: str | None = None, *, tables: bool = True) -> list[str]:
    """Check a snapshot, and return what is wrong with it.

    Parameters
    ----------
    folder : Path
        The snapshot.
    content_hash : str, optional
        The one that was cited.
    tables : bool
        Whether to make the tables again, which takes most of the time.

    Returns
    -------
    list of str
        Empty if every file is there and unchanged, nothing else is, the citation names the content
        hash, and the tables follow from the records and the values of users.

    Raises
    ------
    UsageError
        If the folder is no snapshot.
    """
    if not (folder / SUMS).is_file():
        raise UsageError(f"{folder} is no snapshot: it has no {SUMS}. recrepro cite makes one.")
    found = list(_changed_files(folder))
    if not found and content_hash is not None:
        own = hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()
        if own != content_hash.lower().removeprefix("sha256:"):
            found.append(f"the content hash is {own}, not {content_hash}: another snapshot")
    if found:
        return found
    # Nothing is computed from files that are not what they were; who made them is another
    # question: they can hold anything, and what cannot be read is a fault of the snapshot.
    try:
        return list(_wrong_contents(folder, tables=tables))
    except Exception as error:  # noqa: BLE001
        return [f"it cannot be read: {type(error).__name__}: {error}"]


def _changed_files(folder: Path) -> Iterator[str]:
    """Compare what is there with the hashes."""
    there, strange = _walk(folder)
    yield from strange
    written = (folder / SUMS).read_bytes() if SUMS in there else b""
    sums: dict[str, str] = {}
    for line in written.decode(errors="replace").split("\n")[:-1]:
        match = _LINE.fullmatch(line)
        if match is None or ".." in PurePosixPath(match[2]).parts:
            yield f"{SUMS} has a line that is no hash and path inside the folder: {line[:100]!r}"
        else:
            sums[match[2]] = match[1]
    if written != sums_file(sums):
        yield f"{SUMS} was changed: it is not as recrepro writes it"
    belongs = {SUMS, *CITED, *sums}
    yield from (f"{path!r} is missing" for path in sorted(belongs - there))
    yield from (f"{path!r} does not belong to it" for path in sorted(there - belongs))
    for path in sorted(sums.keys() & there):
        with (folder / path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != sums[path]:
            yield f"{path!r} was changed: its SHA-256 is not that in {SUMS}"


def _walk(folder: Path) -> tuple[set[str], list[str]]:
    """Return the files in a folder, and what is wrong with the rest; links are not followed."""
    files: set[str] = set()
    strange: list[str] = []
    for place, inside, outside in os.walk(folder):
        for path in (Path(place) / name for name in [*inside, *outside]):
            shown = path.relative_to(folder).as_posix()
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                strange.append(f"{shown!r} is a link or something else than a file")
            elif path.is_file():
                files.add(shown)
            elif not any(path.iterdir()):
                strange.append(f"{shown!r} is an empty folder that does not belong to it")
    return files, sorted(strange)


def _wrong_contents(folder: Path, *, tables: bool) -> Iterator[str]:
    """Compute again what follows from other files, and compare."""
    about = read_about(folder)
    by = about["recrepro"]
    other = "" if by == recrepro.__version__ else f" (made by recrepro {by}: use that to verify it)"
    listed = (line.split("  ") for line in (folder / SUMS).read_text().splitlines())
    sums = {path: digest for digest, path in listed}
    for name, text in cited_files(cite(folder), sums).items():
        if (folder / name).read_bytes() != text.encode():
            yield f"{name!r} is not the citation of these files and their content hash{other}"
    results = results_of_snapshot(folder)
    for result in results:
        yield from _wrong_record(result)
    if not tables:
        return
    experiment = load_experiment(folder / "experiment.toml")
    for path, content in table_files(experiment, results, about["reference"]).items():
        if not same_table((folder / path).read_bytes().decode(), content.decode()):
            yield f"{path!r} does not follow from the records and the values of users{other}"


def _wrong_record(result: Result) -> Iterator[str]:
    record = result.record
    if record is None:
        return
    name = result.status.cell[:16]
    if not result.status.cell == record.cell == record.identity.key:
        yield f"the record {name} is not that of its cell"
    if record.identity.is_inline:
        yield f"the record {name} was made inline, which is not for publication"
    per_user = result.read_per_user()
    if hashlib.sha256(per_user).hexdigest() != record.per_user:
        yield f"the values of users of {name} are not those of its record"
    params = record.model.params
    if record.identity.harness >= DIGESTED and record.result_digest != result_digest(
        record.cell, params, record.metrics, per_user
    ):
        yield f"the result digest of {name} does not follow from its hyperparameters and values"
    missing = missing_opening(record, result.status.openings)
    if missing is not None:
        yield f"the opening of the test part {missing} is missing for {name}"
    tuning = record.tuning
    if tuning and tuning.best not in result.read_trials():
        yield f"the best trial in the record {name} is none of its trials"
    yield from (
        f"the record {name} has {param} = {params.get(param)!r}, its best trial has another value"
        for param in record.otherwise
    )
    means = result.per_user().drop(columns="user").mean()
    for metric, mean in means.items():
        if not math.isclose(mean, record.metrics[str(metric)], rel_tol=1e-9, abs_tol=1e-12):
            yield f"{metric} in the record {name} is not the mean of the values of its users"


def same_table(one: str, other: str) -> bool:
    """Compare two texts: numbers to nine digits, all else exactly.

    Sums on another processor can differ in the last bits of an interval.
    """
    first, second = _NUMBER.split(one), _NUMBER.split(other)
    return len(first) == len(second) and all(
        a == b or (place % 2 == 1 and math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-12))
        for place, (a, b) in enumerate(zip(first, second, strict=True))
    )
