"""`recrepro split`: write the parts of a split as files."""

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pandas as pd

from recrepro.cli.options import (
    data_option,
    experiment_argument,
)
from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.labels import to_pandas
from recrepro.run.materials import draw_splits
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment
from recrepro.spec.places import located


@click.command()
@experiment_argument
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@data_option
def split(experiment: Path, folder: Path, data_dir: Path | None) -> None:
    """Write the splits of an experiment to FOLDER.

    The files are for other programs and hold what models may see, without the test part.

    \b
    train.tsv        what to fit on while tuning
    validation.tsv   what to tune on
    known.tsv        what to fit the final model on
    users.tsv        whom to recommend for
    validation_shown.tsv, test_shown.tsv
                     unseen users only: what the model is shown of those it is judged by

    The test part is not written. Score what comes of it with recrepro evaluate.
    """
    for place in write_parts(experiment, folder, data_dir):
        click.echo(place)


def write_parts(experiment_file: Path, folder: Path, data_dir: Path | None) -> Iterator[Path]:
    """Write what models may see of every split, as TSV; yield the folder of each.

    Parameters
    ----------
    experiment_file : Path
        The experiment.
    folder : Path
        Gets a folder for each data set, split, seed and fold.
    data_dir : Path, optional
        Folder with local copies of named data sets.
    """
    experiment = load_experiment(experiment_file)
    with located(experiment_file, experiment):
        plan = make_plan(experiment, experiment_file.parent, data_dir, progress=False)
    for name, drawn in draw_splits(plan):
        place = folder / name.replace(" / ", "/").replace(" ", "-")
        place.mkdir(parents=True, exist_ok=True)
        parts = drawn.parts
        named = {
            "train": parts.train,
            "validation": parts.validation,
            "validation_shown": parts.validation_shown,
            "known": parts.known,
            "test_shown": parts.test_shown,
        }
        for title, part in named.items():
            if part is not None:
                _frame(part).to_csv(place / f"{title}.tsv", sep="\t", index=False)
        users = parts.test.user_ids[np.flatnonzero(parts.test.user_counts)]
        pd.DataFrame({"user": to_pandas(users)}).to_csv(place / "users.tsv", sep="\t", index=False)
        yield place


def _frame(part: Interactions) -> pd.DataFrame:
    """Return interactions with the data's own labels; an unknown time is empty."""
    users, items = to_pandas(part.user_ids[part.users]), to_pandas(part.item_ids[part.items])
    frame = pd.DataFrame({"user": users, "item": items})
    frame["value"] = part.values
    if part.times is not None:
        frame["time"] = pd.array(part.times, dtype="Int64")
        frame.loc[part.times == UNKNOWN_TIME, "time"] = pd.NA
    return frame
