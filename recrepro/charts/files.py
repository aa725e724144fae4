"""The only importer of matplotlib: pictures as SVG, PNG or PDF files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recrepro.errors import UsageError
from recrepro.splits.audit import Audit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENDINGS = (".svg", ".png", ".pdf")
_COLUMNS = 3
_TEST, _RANDOM = "#d1495b", "#7fb285"


def check_picture(path: Path) -> None:
    """Refuse a file name whose ending is of no picture that can be drawn."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"the picture {path} should end in one of {', '.join(ENDINGS)}, which says how it is "
            "to be drawn."
        )


def draw_popularity(audits: Sequence[tuple[str, Audit]], path: Path) -> None:
    """Draw each item's popularity in test against train, over that in a random test part.

    One panel a split, one point an item. A random split lies along the diagonal band; points far
    from it are items whose interactions were not divided at random.

    Parameters
    ----------
    audits : sequence of (str, Audit)
        Titles and outcomes.
    path : Path
        The file; its ending says the kind.
    """
    check_picture(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(audits))
    rows = -(-len(audits) // columns)
    # Reproducible files: no date, and names within the SVG that do not change.
    with mpl.rc_context({"svg.hashsalt": "recrepro", "font.size": 9}):
        figure = Figure(figsize=(4.6 * columns, 3.8 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, (title, audit) in zip(axes, audits, strict=False):
            _popularity_panel(panel, title, audit)
        for panel in axes[len(audits) :]:
            panel.axis("off")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        path.parent.mkdir(parents=True, exist_ok=True)
        dated = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix.lower())
        figure.savefig(path, dpi=150, metadata={dated: None} if dated else None)


def _popularity_panel(panel: "Axes", title: str, audit: Audit) -> None:
    popularity = audit.popularity
    counts = popularity.counts
    whole = counts.train + counts.test
    for test, colour, label in (
        (counts.random, _RANDOM, "if the split were random"),
        (counts.test, _TEST, "as it is"),
    ):
        panel.scatter(
            whole - test, test, s=5, color=colour, alpha=0.5, linewidths=0, rasterized=True
        )
        panel.scatter([], [], s=25, color=colour, label=label)  # a legend that can be seen
    panel.set_xscale("symlog", linthresh=1)
    panel.set_yscale("symlog", linthresh=1)
    panel.set(xlim=(-0.5, None), ylim=(-0.5, None))
    panel.set_title(f"{title}\n{audit.verdict}", fontsize=9, wrap=True)
    panel.set_xlabel("interactions of an item in train")
    panel.set_ylabel("in test")
    panel.grid(alpha=0.25)


def draw_tuning(trials: Sequence[Mapping[str, Any]], metric: str, path: Path) -> None:
    """Draw the search of one model: what each trial reached, and its epochs if it had some.

    Parameters
    ----------
    trials : sequence of dict
        As `recrepro.tuning.tuner.Trial` writes them; at least one.
    metric : str
        What was tuned for.
    path : Path
        The file; its ending says the kind.
    """
    check_picture(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    curves = [
        [(row["epoch"], row[metric]) for row in trial.get("curve", ()) if metric in row]
        for trial in trials
    ]
    done, pruned = (
        [(trial["number"], trial["value"]) for trial in trials if trial["state"] == state]
        for state in ("complete", "pruned")
    )
    best = max(done, key=lambda one: (one[1], -one[0]), default=(-1, 0.0))[0]
    with mpl.rc_context({"svg.hashsalt": "recrepro", "font.size": 9}):
        columns = 2 if any(curves) else 1
        figure = Figure(figsize=(4.6 * columns, 3.4), layout="constrained")
        search, *epochs = figure.subplots(1, columns, squeeze=False).ravel()
        search.plot(*_columns(done), "o", markersize=4, color=_RANDOM, label="trial")
        search.plot(*_columns(pruned), "x", markersize=4, color="#999999")
        so_far = [(n, max(value for k, value in done if k <= n)) for n, _ in done]
        search.step(*_columns(so_far), where="post", color=_TEST, label="best so far")
        for trial in trials:
            if trial["value"] is None:
                search.axvline(trial["number"], color="#999999", linestyle=":")
        search.set(xlabel="trial (dotted: failed, x: pruned)", ylabel=f"validation {metric}")
        search.legend(fontsize=8)
        for panel in epochs:
            for trial, curve in zip(trials, curves, strict=True):
                chosen = trial["number"] == best
                look = {"color": _TEST, "linewidth": 2} if chosen else {"color": "#bbbbbb"}
                panel.plot(*_columns(curve), **look, zorder=3 if chosen else 2)
            panel.set(xlabel="epoch (red: the best trial)")
        for panel in (search, *epochs):
            panel.grid(alpha=0.25)
        dated = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix.lower())
        figure.savefig(path, dpi=150, metadata={dated: None} if dated else None)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
