"""Write docs/conformance.md: what the experiments of this folder give, beside what was published.

    recrepro run experiments/papers/NAME.toml --workspace DIR
    python experiments/papers/conformance.py --workspace DIR

The first runs one of them; the second writes records/NAME.json of each that was run in DIR, and
then the page, from all records and findings.md. Without --workspace it writes the page only. A
value that is not as expected needs a `note` in its experiment file that says why, or this is an
error.
"""  # noqa: INP001

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from recrepro.spec.experiment import load_experiment
from recrepro.store.ledger import Ledger
from recrepro.store.results import results_in
from recrepro.store.workspace import Workspace
from recrepro.study.records import StudyRecord, StudyValue, archived
from recrepro.text.templates import render as render_template

HERE = Path(__file__).parent
RECORDS = HERE.parent / "records"
PAGE = HERE.parents[1] / "docs" / "conformance.md"


def record(path: Path, ledger: Ledger, workspace: Workspace) -> StudyRecord | None:
    """Return what a workspace holds of an experiment; None if it was not run there to the end."""
    experiment = load_experiment(path)
    if not ledger.members(path.stem, experiment.grid_hash):
        return None
    results = results_in(workspace, ledger, experiment, path.stem)
    command = f"recrepro run experiments/papers/{path.name}"
    return archived(experiment, path.stem, results, command)


def read_records() -> list[StudyRecord]:
    """Return the records of the experiments in this folder, by name."""
    paths = (RECORDS / f"{path.stem}.json" for path in sorted(HERE.glob("*.toml")))
    return [StudyRecord.model_validate_json(path.read_bytes()) for path in paths if path.is_file()]


def waiting(records: list[StudyRecord]) -> list[tuple[str, str]]:
    """Return name and claim of the experiments of this folder that have no record."""
    known = {r.experiment for r in records}
    paths = (path for path in sorted(HERE.glob("*.toml")) if path.stem not in known)
    return [(path.stem, load_experiment(path).claim) for path in paths]


def unexplained(records: list[StudyRecord]) -> list[str]:
    """Return what is not as expected and has no note."""
    return [
        f"{r.experiment}: {v.model} {v.metric} is {v.verdict}"
        for r in records
        for v in r.values
        if v.verdict != "ok" and not v.note
    ]


def render(records: list[StudyRecord], findings: str, not_run: list[tuple[str, str]]) -> str:
    """Return the page."""
    page = render_template(
        HERE / "conformance.md.j2",
        records=records,
        totals=[sum(column) for column in zip(*map(_counts, records), strict=True)],
        total_seconds=sum(map(_seconds, records)),
        findings=findings,
        profiles=list(_profiles(records)),
        not_run=not_run,
        counts=_counts,
        seconds=_seconds,
        fit_seconds=_fit_seconds,
        misses=_misses,
        digits=_digits,
        signed=_signed,
    )
    return page.rstrip("\n") + "\n"


def _counts(r: StudyRecord) -> tuple[int, int, int, int]:
    """Count models, values, values as expected, and the other values."""
    ok = sum(v.verdict == "ok" for v in r.values)
    return len(r.models), len(r.values), ok, len(r.values) - ok


def _seconds(r: StudyRecord) -> float:
    return float(sum(m.fit_s + m.score_s for m in r.models))


def _fit_seconds(r: StudyRecord) -> dict[str, float]:
    return {m.model: m.fit_s for m in r.models}


def _misses(r: StudyRecord) -> dict[str, list[StudyValue]]:
    """Return the values of an experiment that are off, by what explains them."""
    reasons: dict[str, list[StudyValue]] = {}
    for v in r.values:
        if v.verdict != "ok":
            reasons.setdefault(v.note, []).append(v)
    return reasons


def _profiles(records: list[StudyRecord]) -> Iterator[tuple[Any, ...]]:
    """Return the models that were run with raw and with weighted histories, side by side."""
    for r in records:
        models = {m.model: m for m in r.models}
        for title, weighted in models.items():
            plain = models.get(title.removesuffix("-weighted"))
            if plain is None or plain is weighted:
                continue
            printed = {v.metric: v for v in r.values if v.model == plain.model}
            code = {v.metric: v.expected for v in r.values if v.model == title}
            metric = next(m for m in plain.metrics if m in printed)
            yield (
                *(r.experiment, plain.model, plain.params["weighting"], metric),
                printed[metric].expected,
                plain.metrics[metric],
                code.get(metric),
                weighted.metrics[metric],
            )


def _digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    if value is None:
        return "-"
    text = f"{value:+.4f}"
    return text[1:] if text in ("+0.0000", "-0.0000") else text


@click.command()
@click.option("--workspace", type=click.Path(path_type=Path, file_okay=False), help="Where it ran.")
def main(workspace: Path | None) -> None:
    """Write records of what was run in a workspace, if one is named, and then the page."""
    if workspace:
        place = Workspace.existing(workspace)
        ledger = Ledger.in_workspace(place.root)
        for path in sorted(HERE.glob("*.toml")):
            found = record(path, ledger, place)
            if found is None:
                click.echo(f"{path.stem}: not run in {workspace}, or not to the end; left as it is")
                continue
            found.write(RECORDS / f"{path.stem}.json")
        ledger.close()
    records = read_records()
    missing = unexplained(records)
    if missing:
        raise click.ClickException("a note has to say why:\n" + "\n".join(missing))
    findings = (HERE / "findings.md").read_text(encoding="utf-8")
    PAGE.write_text(render(records, findings, waiting(records)), encoding="utf-8")


if __name__ == "__main__":
    main()
