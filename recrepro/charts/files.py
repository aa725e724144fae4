"""Pictures as SVG, PNG or PDF files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recrepro.charts.figures import Trials, curves_of, paint_epochs, paint_search, values_of
from recrepro.errors import UsageError
from recrepro.splits.audit import Audit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    columns = min(_COLUMNS, len(audits))
    rows = -(-len(audits) // columns)

    def paint(figure: "Figure") -> None:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, (title, audit) in zip(axes, audits, strict=False):
            _popularity_panel(panel, title, audit)
        for panel in axes[len(audits) :]:
            panel.axis("off")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

    _save(path, (4.6 * columns, 3.8 * rows), paint)


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
    panel.set_title(f"{title}\n{audit.words}", fontsize=9, wrap=True)
    panel.set_xlabel("interactions of an item in train")
    panel.set_ylabel("in test")
    panel.grid(alpha=0.25)


def draw_tuning(trials: Trials, metric: str, path: Path) -> None:
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
    curves = curves_of(trials, metric)
    done = values_of(trials, "complete")
    best = max(done, key=lambda one: (one[1], -one[0]), default=(-1, 0.0))[0]
    columns = 2 if curves else 1

    def paint(figure: "Figure") -> None:
        search, *epochs = figure.subplots(1, columns, squeeze=False).ravel()
        paint_search(search, trials, _RANDOM, _TEST, "#999999")
        search.set(xlabel="trial (dotted: failed, x: pruned)", ylabel=f"validation {metric}")
        search.legend(fontsize=8)
        for panel in epochs:
            paint_epochs(panel, curves, best, _TEST, color="#bbbbbb")
            panel.set(xlabel="epoch (red: the best trial)")
        for panel in (search, *epochs):
            panel.grid(alpha=0.25)

    _save(path, (4.6 * columns, 3.4), paint)


def _save(path: Path, size: tuple[float, float], paint: "Callable[[Figure], None]") -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    check_picture(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Reproducible files: no date, and names within the SVG that do not change.
    dated = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix.lower())
    with mpl.rc_context({"svg.hashsalt": "recrepro", "font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        figure.savefig(path, dpi=150, metadata={dated: None} if dated else None)
