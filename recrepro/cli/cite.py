"""`recrepro cite`: write results that can be cited."""

from pathlib import Path

import click

from recrepro.cli.options import (
    experiment_argument,
    workspace_option,
)
from recrepro.cli.results import results_of
from recrepro.publish.citation import bibtex
from recrepro.publish.write import write_snapshot
from recrepro.spec.experiment import load_experiment


@click.command()
@experiment_argument
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@workspace_option
@click.option("--reference", help="Tables mark what differs from this model, beside the best.")
@click.option("--author", "authors", multiple=True, help="Whom to cite, such as 'Curie, Marie'.")
@click.option("--url", help="Where you are going to publish the folder.")
def cite(
    experiment: Path,
    target: Path,
    workspace: Path,
    reference: str | None,
    authors: tuple[str, ...],
    url: str | None,
) -> None:
    """Write results to a new folder DIR that can be cited.

    It holds tables, records, trials and the values of users, metadata, and a hash of them all,
    which the BibTeX entry names. The same results give the same bytes.
    """
    spec = load_experiment(experiment)
    results = results_of(experiment, spec, workspace)
    citation = write_snapshot(
        experiment, results, target, reference=reference, authors=authors, url=url
    )
    click.echo(bibtex(citation))
    without = sum(result.record is None for result in results)
    if without:
        click.echo(f"{without} of {len(results)} cells have no result; the tables say which.")
    click.echo(f"Content hash  sha256:{citation.sha256}")
    click.echo(f"Check it with  recrepro verify {target}")
