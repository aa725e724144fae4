"""`recrepro audit`: verdicts, findings and popularity of splits."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recrepro.charts.files import check_picture, draw_popularity
from recrepro.cli.console import make_console
from recrepro.cli.options import data_option, format_option
from recrepro.data.formats.columns import parse_columns
from recrepro.data.formats.read import read_published
from recrepro.data.load import unavailable
from recrepro.errors import DataError, UsageError
from recrepro.run.materials import draw_splits
from recrepro.run.plan import make_plan
from recrepro.run.resolve import check_names
from recrepro.spec.experiment import Promise, load_experiment
from recrepro.spec.places import located
from recrepro.splits.audit import Audit, AuditOutcome, audit_split
from recrepro.tables import markdown
from recrepro.tables.console import plain_table

Audits = list[tuple[str, Audit]]
"""Each split's name, and what was found."""


STYLES = {"leaking": "bold red", "suspicious": "yellow", "note": "dim", "clean": "green"}


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path), required=False)
@data_option
@click.option("--train", type=click.Path(path_type=Path), help="Train part, in a file.")
@click.option("--test", type=click.Path(path_type=Path), help="Test part.")
@click.option("--validation", type=click.Path(path_type=Path), help="Validation part.")
@click.option("--negatives", type=click.Path(path_type=Path), help="Sampled negatives.")
@click.option("--file-format", help="Of these files, where their ending does not tell it.")
@click.option(
    "--column", "columns", multiple=True, help="A column of these files, such as user=buyer."
)
@click.option(
    "--promise",
    type=click.Choice(get_args(Promise)),
    help="What these files are said to be.  [default: what they look like]",
)
@format_option("md", "json")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw popularity of train, test and a random test part (.svg, .png, .pdf).",
)
def audit(
    experiment: Path | None,
    data_dir: Path | None,
    form: str,
    picture: Path | None,
    columns: tuple[str, ...],
    **files: Any,
) -> None:
    """Audit the splits of an experiment, or of files, for leakage.

    \b
    recrepro audit experiments/quickstart.toml
    recrepro audit --train train.tsv --test test.tsv --picture audit.svg

    The verdict is leaking (exit code 1), suspicious, or that the checks found nothing.
    """
    if picture is not None:
        check_picture(picture)
    given = sorted(name for name, value in files.items() if value is not None)
    if experiment is not None and (given or columns):
        raise UsageError(
            f"give an experiment, or the files of a split, not both: got {experiment} and "
            f"{', '.join(given) or 'columns'}."
        )
    if experiment is not None:
        audits, absent = audit_experiment(experiment, data_dir)
        for name in absent:
            click.echo(f"not audited: {name}", err=True)
    elif files["train"] is not None and files["test"] is not None:
        mapping = parse_columns(columns, ("user", "item", "value", "time"))
        audits = audit_files(**files, columns=mapping)
    else:
        raise UsageError("say what to audit: an experiment file, or --train FILE and --test FILE.")
    if form == "text":
        show_audits(make_console(), audits)
    else:
        click.echo(to_json(audits) if form == "json" else to_markdown(audits))
    if picture is not None:
        draw_popularity(audits, picture)
        click.echo(f"Drawn: {picture}", err=True)
    click.get_current_context().exit(1 if worst(audits) == "leaking" else 0)


def audit_experiment(path: Path, data_dir: Path | None) -> tuple[Audits, list[str]]:
    """Draw every split of an experiment in memory, and audit it.

    Nothing is downloaded: a data set that is not here is left out.

    Returns
    -------
    audits : Audits
        Of the splits of data sets that are here.
    absent : list of str
        The other data sets, each with what was looked for.
    """
    experiment = load_experiment(path)
    with located(path, experiment):
        check_names(experiment, path.parent)
        missing = {d.name: why for d in experiment.datasets if (why := unavailable(d, data_dir))}
    here = experiment.without_datasets(missing)
    absent = [f"{name}: {why}" for name, why in missing.items()]
    if here is None:
        raise DataError(
            f"none of the data sets of {path} is here: {'; '.join(absent)}. Put them below a "
            "folder and pass that with --data DIR, or let `recrepro run` fetch them."
        )
    with located(path, experiment):
        plan = make_plan(here, path.parent, data_dir, progress=False)
    return [(name, drawn.audit) for name, drawn in draw_splits(plan)], absent


def audit_files(
    train: Path,
    test: Path,
    *,
    validation: Path | None = None,
    negatives: Path | None = None,
    file_format: str | None = None,
    columns: Mapping[str, str] | None = None,
    promise: Promise | None = None,
) -> Audits:
    """Audit a split that lies in files; the parameters are those of `read_published`."""
    dataset = read_published(
        train.name, train, test, negatives, file_format, columns, validation=validation
    )
    split = dataset.published
    assert split is not None
    audit = audit_split(
        split.train,
        split.test,
        validation=split.validation,
        negatives=split.negatives,
        promise=promise,
    )
    return [(f"{train.name} / {test.name}", audit)]


def worst(audits: Audits) -> AuditOutcome:
    """Return the worst verdict of several splits."""
    verdicts = [audit.verdict for _, audit in audits]
    order: tuple[AuditOutcome, ...] = ("leaking", "suspicious", "clean")
    return min(verdicts, key=order.index)


def to_json(audits: Audits) -> str:
    """Write everything, unrounded."""
    splits = [{"split": name, **audit.as_dict()} for name, audit in audits]
    return json.dumps({"verdict": worst(audits), "splits": splits}, indent=1)


def to_markdown(audits: Audits) -> str:
    """Write verdicts and findings in Markdown."""
    lines = []
    for name, audit in audits:
        lines += [f"### {name}: {audit.words}", ""]
        findings = ([cell.replace("|", r"\|") for cell in row] for row in _finding_rows(audit))
        lines += [*markdown.table(_FINDINGS, findings), ""]
        lines += [*markdown.table(_POPULARITY, _popularity_rows(audit)), ""]
    return "\n".join(lines)


def show_audits(console: Console, audits: Audits) -> None:
    """Print verdicts, findings and popularity."""
    for name, audit in audits:
        console.print()
        console.print(Text.assemble((name, "bold"), ": ", (audit.words, STYLES[audit.verdict])))
        console.print()
        console.print(_findings_table(audit))
        console.print(_numbers_table(audit))


_FINDINGS = ("weight", "finding", "users", "interactions", "what")


_POPULARITY = ("popularity of items", "train", "test", "random split")


def _finding_rows(audit: Audit) -> Iterable[tuple[str, ...]]:
    for finding in audit.findings:
        touched = (f"{finding.users:,}", f"{finding.interactions:,}")
        yield (finding.severity, finding.id, *touched, finding.message)


def _findings_table(audit: Audit) -> Table | Text:
    if not audit.findings:
        return Text("There are no notes.\n")
    table = plain_table()
    for place, column in enumerate(_FINDINGS):
        right = column in ("users", "interactions")
        table.add_column(column, justify="right" if right else "left", no_wrap=place < 4)
    for weight, *rest in _finding_rows(audit):
        table.add_row(Text(weight, STYLES[weight]), *(Text(cell) for cell in rest))
    return table


def _numbers_table(audit: Audit) -> Table:
    table = plain_table()
    for column in _POPULARITY:
        table.add_column(column, justify="left" if column == _POPULARITY[0] else "right")
    for row in _popularity_rows(audit):
        table.add_row(*row)
    return table


def _popularity_rows(audit: Audit) -> Iterable[tuple[str, ...]]:
    popularity = audit.popularity
    train, test, random = popularity.train, popularity.test, popularity.random
    yield ("interactions", f"{train.interactions:,}", f"{test.interactions:,}", "as test")
    most = (train.largest, test.largest, random.largest)
    yield ("of the most frequent item", *(f"{value:,.0f}" for value in most))
    for title, name in (
        ("Gini (1: all on one item)", "gini"),
        ("entropy, bits", "entropy"),
        ("Kendall's tau with all parts", "kendall"),
    ):
        yield (title, *(f"{getattr(part, name):.3f}" for part in (train, test, random)))
    distances = (popularity.distance, random.distance)
    yield ("on other items than expected", "", *(f"{distance:.3f}" for distance in distances))
