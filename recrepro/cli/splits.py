"""Commands about splits: the audit, and parts for other programs."""

from pathlib import Path
from typing import Any

import click

from recrepro.cli.options import data_option, experiment_argument


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
    "--order",
    type=click.Choice(["none", "user", "global"]),
    help="What these files promise about time.  [default: what they look like]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "json"]),
    default="text",
    show_default=True,
    help="How to write it.",
)
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
    """Audit the splits of an experiment, or one that lies in files, for leakage.

    \b
    recrepro audit experiments/quickstart.toml
    recrepro audit --train train.tsv --test test.tsv --picture audit.svg

    The verdict is clean, suspicious or leaking; exit code 1 if it is leaking.
    """
    from recrepro.charts.files import check_picture, draw_popularity
    from recrepro.cli import audit as auditing
    from recrepro.cli.console import make_console
    from recrepro.data.formats.columns import parse_columns
    from recrepro.errors import UsageError

    if picture is not None:
        check_picture(picture)
    given = sorted(name for name, value in files.items() if value is not None)
    if experiment is not None and (given or columns):
        raise UsageError(
            f"give an experiment, or the files of a split, not both: got {experiment} and "
            f"{', '.join(given) or 'columns'}."
        )
    if experiment is not None:
        audits, absent = auditing.audit_experiment(experiment, data_dir)
        for name in absent:
            click.echo(f"not audited: {name}", err=True)
    elif files["train"] is not None and files["test"] is not None:
        mapping = parse_columns(columns, ("user", "item", "value", "time"))
        audits = auditing.audit_files(**files, columns=mapping)
    else:
        raise UsageError("say what to audit: an experiment file, or --train FILE and --test FILE.")
    if form == "text":
        auditing.show(make_console(), audits)
    else:
        click.echo(auditing.to_json(audits) if form == "json" else auditing.to_markdown(audits))
    if picture is not None:
        draw_popularity(audits, picture)
        click.echo(f"Drawn: {picture}", err=True)
    click.get_current_context().exit(1 if auditing.worst(audits) == "leaking" else 0)


@click.command()
@experiment_argument
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@data_option
def split(experiment: Path, folder: Path, data_dir: Path | None) -> None:
    """Write what models may see of an experiment's splits to FOLDER, for other programs.

    \b
    train.tsv        what to fit on while tuning
    validation.tsv   what to tune on
    known.tsv        what to fit the final model on
    users.tsv        whom to recommend for
    validation_shown.tsv, test_shown.tsv
                     unseen users only: what the model is shown of those it is judged by

    The test part is not written. Score what comes of it with recrepro evaluate.
    """
    from recrepro.cli.split import write_parts

    for place in write_parts(experiment, folder, data_dir):
        click.echo(place)
