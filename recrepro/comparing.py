"""What `recrepro compare` does: intervals of models, and paired tests against one of them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from statistics import stdev

import numpy as np
from rich.console import Console
from rich.text import Text

from recrepro.errors import UnknownName
from recrepro.evaluation.significance import Comparison, bootstrap_intervals, compare, holm
from recrepro.leaderboard import comparable
from recrepro.listing import plain_table
from recrepro.per_user import Repeats, by_model, paired, user_means
from recrepro.randomness import generator
from recrepro.results import Result
from recrepro.tables.cells import p_text

TESTS = ("t", "wilcoxon", "randomisation")


@dataclass(frozen=True)
class ComparedModel:
    """One model beside the reference.

    Parameters
    ----------
    model : str
        Title.
    mean, low, high : float
        Mean over users (each user's mean over seeds and folds), and its 95 % bootstrap interval.
    repeats : int
        Seeds and folds.
    spread : float or None
        Standard deviation of the means of the repeats; None for fewer than two.
    users : int
        Users that it shares with the reference.
    comparison : Comparison or None
        With the reference; None for the reference itself.
    corrected : dict of str to float
        P-values by test, corrected by Holm for the number of models in the table.
    """

    model: str
    mean: float
    low: float
    high: float
    repeats: int
    spread: float | None
    users: int
    comparison: Comparison | None
    corrected: dict[str, float]


@dataclass(frozen=True)
class ComparedBoard:
    """The models on one data set and split, best first; `sampled` as on leaderboards."""

    dataset: str
    split: str
    sampled: bool
    metric: str
    reference: str
    models: tuple[ComparedModel, ...]


def compare_models(
    results: Iterable[Result],
    metric: str,
    reference: str | None = None,
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> list[ComparedBoard]:
    """Compare the models of an experiment, from the values of each user that its runs have kept.

    Parameters
    ----------
    results : iterable of Result
        Those of an experiment; cells without a record are left out.
    metric : str
        One that the runs have measured, with a value for each user.
    reference : str, optional
        The model that the others are compared with; by default the best of each table.
    n_resamples : int
        Bootstrap samples, and draws of the randomisation test.
    seed : int
        Of both.

    Raises
    ------
    UsageError
        If the metric has no values of users, or the reference is none of the models.
    """
    boards = []
    for (dataset, split), protocols in comparable(r for r in results if r.record).items():
        for found in protocols.values():
            sampled = any(r.record["sampled"] for r in found if r.record)
            boards.append((dataset, split, sampled, by_model(found, [metric])))
    if reference is not None and not any(reference in models for *_, models in boards):
        known = sorted({model for *_, models in boards for model in models})
        raise UnknownName("reference model", reference, known)
    return [
        _compare_board(dataset, split, sampled, metric, models, reference, n_resamples, seed)
        for dataset, split, sampled, models in boards
        if reference is None or reference in models
    ]


def _compare_board(
    dataset: str,
    split: str,
    sampled: bool,
    metric: str,
    models: dict[str, Repeats],
    reference: str | None,
    n_resamples: int,
    seed: int,
) -> ComparedBoard:
    means = {name: user_means(repeats)[metric] for name, repeats in models.items()}
    order = sorted(means, key=lambda name: -float(means[name].mean()))
    against = reference or order[0]
    compared: dict[str, Comparison] = {}
    users: dict[str, int] = {}
    for name in order:
        first, second = paired(models[name], models[against])
        users[name] = len(first)
        if name != against and len(first):
            one, other = (frame[metric].to_numpy(np.float64) for frame in (first, second))
            rng = generator(seed, "compare", name)
            compared[name] = compare(one, other, rng, n_resamples=n_resamples)
    corrected: dict[str, dict[str, float]] = {name: {} for name in order}
    for test in TESTS:
        adjusted = holm(np.array([getattr(c, test) for c in compared.values()]))
        for name, value in zip(compared, adjusted, strict=True):
            corrected[name][test] = float(value)
    columns = {name: values.to_numpy(np.float64)[:, None] for name, values in means.items()}
    intervals = bootstrap_intervals(columns, n_resamples, seed)
    rows = []
    for name in order:
        low, high = (float(bound[0]) for bound in intervals[name])
        repeats = [float(repeat[metric].mean()) for repeat in models[name].values()]
        rows.append(
            ComparedModel(
                name,
                float(means[name].mean()),
                low,
                high,
                len(repeats),
                stdev(repeats) if len(repeats) > 1 else None,
                users[name],
                compared.get(name),
                corrected[name],
            )
        )
    return ComparedBoard(dataset, split, sampled, metric, against, tuple(rows))


COLUMNS = (
    *("model", "mean", "95 % interval", "difference", "95 % interval", "effect"),
    *("better / worse", "p (t)", "p (Wilcoxon)", "p (randomisation)"),
)


def _cells(board: ComparedBoard) -> Iterator[tuple[str, ...]]:
    for row in board.models:
        spread = "" if row.spread is None else f" ± {row.spread:.4f}"
        own = (row.model, f"{row.mean:.4f}{spread}", f"{row.low:.4f} to {row.high:.4f}")
        other = row.comparison
        if other is None:
            what = "reference" if row.model == board.reference else "no users in common"
            yield (*own, what, *[""] * 6)
            continue
        yield (
            *own,
            f"{other.difference:+.4f}",
            f"{other.low:+.4f} to {other.high:+.4f}",
            f"{other.effect:+.2f}",
            f"{other.better:.0%} / {other.worse:.0%}",
            *(p_text(row.corrected[test]) for test in TESTS),
        )


def _heading(board: ComparedBoard) -> str:
    ranking = "sampled ranking" if board.sampled else "full ranking"
    place = f"{board.dataset} · {board.split} ({ranking})"
    return f"{place}: {board.metric}, compared with {board.reference}"


EXPLANATION = (
    "Intervals: bootstrap over users. Effect: mean difference over its standard deviation. "
    "P-values: paired, two-sided, corrected by Holm for the models in the table. They say what "
    "chance in the users explains; another split can give another answer: look at the spread over "
    "seeds."
)


def show(console: Console, boards: list[ComparedBoard]) -> None:
    """Print the tables."""
    for board in boards:
        table = plain_table(_heading(board))
        for place, column in enumerate(COLUMNS):
            table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
        for cells in _cells(board):
            table.add_row(*(Text(cell) for cell in cells))
        console.print()
        console.print(table)
    console.print(EXPLANATION, style="dim", soft_wrap=True)


def to_markdown(boards: list[ComparedBoard]) -> str:
    """Write the tables in Markdown."""
    lines = []
    for board in boards:
        lines += [f"### {_heading(board)}", ""]
        for cells in (COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *_cells(board)):
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join([*lines, EXPLANATION])


def to_json(boards: list[ComparedBoard]) -> str:
    """Write everything, unrounded; an infinite effect is null."""
    content = [asdict(board) for board in boards]
    for board in content:
        for row in board["models"]:
            if row["comparison"] and not np.isfinite(row["comparison"]["effect"]):
                row["comparison"]["effect"] = None
    return json.dumps(content, indent=1, allow_nan=False)
