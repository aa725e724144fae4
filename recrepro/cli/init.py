"""`recrepro init`: write an experiment and a model to start from."""

from importlib.resources import files
from pathlib import Path

import click

from recrepro.errors import UsageError

TEMPLATES = files("recrepro.cli") / "new-experiment"
NAMES = ("experiment.toml", "model.py")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
def init(folder: Path) -> None:
    """Write an experiment and a model to start from.

    They go to FOLDER, or to the current folder. experiment.toml compares the model in model.py with
    tuned simple ones on made-up data. It runs as it is, in less than a minute; comments say what to
    change. Nothing is overwritten.
    """
    there = [name for name in NAMES if (folder / name).exists()]
    if there:
        raise UsageError(
            f"{' and '.join(str(folder / name) for name in there)} would be overwritten. Name "
            "another folder: recrepro init FOLDER."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / name).write_bytes((TEMPLATES / name).read_bytes())
    experiment, model = (folder / name for name in NAMES)
    click.echo(f"Wrote {experiment} and {model}. Next:\n")
    click.echo(f"  recrepro run {experiment}")
    click.echo(f"  recrepro check-model {model}:fit")
