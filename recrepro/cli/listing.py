"""The command that lists what an experiment can name."""

import click

KINDS = ("models", "datasets", "filters", "metrics", "splits")


@click.command(name="ls")
@click.argument("what", type=click.Choice(KINDS), required=False)
@click.argument("name", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md"]),
    default="text",
    help="md: the page of all metrics, for `ls metrics`.",
)
def list_(what: str | None, name: str | None, form: str) -> None:
    """List what an experiment can name, or show all there is to know of one NAME.

    \b
    recrepro ls                  models, datasets, filters, metrics and splits
    recrepro ls models           one of the lists
    recrepro ls models ease      hyperparameters, defaults and search ranges of one model
    """
    from recrepro.cli.console import make_console
    from recrepro.cli.ls import show
    from recrepro.errors import UsageError

    if form == "md":
        if what != "metrics" or name:
            raise UsageError("--format md is for `recrepro ls metrics`, without a name.")
        from recrepro.evaluation.glossary import to_markdown

        click.echo(to_markdown(), nl=False)
        return
    console = make_console()
    for kind in [what] if what else KINDS:
        show(console, kind, name)
