"""The drawings of the page.

Colours are those of Okabe and Ito, told apart by the colour-blind, and stand out from white and
from dark; shapes say the same as colours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from recrepro.analysis.ranks import RankTest
from recrepro.charts.svg import draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#767676"
FAMILIES = {
    "simple": (BLUE, "o"),
    "neural": (ORANGE, "s"),
    "custom": (GREY, "D"),
    "external": (PURPLE, "^"),
}
WIDTH = 5.4
Trials = Sequence[Mapping[str, Any]]
"""Trials as `recrepro.tuning.tuner.Trial` writes them."""
Curves = dict[int, list[tuple[float, float]]]
"""Epochs and values, by number of the trial."""


@dataclass(frozen=True)
class Point:
    """A model in a drawing: its name and family, its value, and the interval or the cost of it."""

    model: str
    family: str
    value: float
    low: float = 0.0
    high: float = 0.0
    seconds: float = 0.0


def _families(axes: "Axes", points: Sequence[Point]) -> None:
    """Say what shapes and colours are, if there are several."""
    known = list(dict.fromkeys(point.family for point in points))
    if len(known) > 1:
        for family in known:
            colour, shape = FAMILIES[family]
            axes.plot([], [], shape, color=colour, label=family)
        axes.figure.legend(loc="outside upper center", ncols=len(known))


def intervals(name: str, points: Sequence[Point], metric: str) -> Markup:
    """Draw means with their intervals, the first on top."""

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        for place, point in enumerate(points):
            colour, shape = FAMILIES[point.family]
            axes.plot([point.low, point.high], [place, place], color=colour, linewidth=2)
            axes.plot([point.value], [place], shape, color=colour, markersize=6)
        axes.set_yticks(range(len(points)), [point.model for point in points])
        axes.set(ylim=(len(points) - 0.5, -0.5), xlabel=f"{metric}, mean over users")
        axes.grid(axis="x", alpha=0.2, color="#000000")
        _families(axes, points)

    shown = "; ".join(f"{p.model} {p.value:.4f} ({p.low:.4f} to {p.high:.4f})" for p in points)
    text = f"Means of {metric} with 95 % intervals: {shown}."
    return draw(name, text, (WIDTH, 0.9 + 0.27 * len(points)), paint)


def costs(name: str, points: Sequence[Point], metric: str) -> Markup:
    """Draw accuracy against the time of the final fit, which is on a logarithmic scale."""

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        front = sorted(points, key=lambda point: (point.seconds, -point.value))
        best: list[Point] = []
        for point in front:
            if not best or point.value > best[-1].value:
                best.append(point)
        axes.step(
            [p.seconds for p in best], [p.value for p in best], where="post", color=GREY, alpha=0.6
        )
        for point in points:
            colour, shape = FAMILIES[point.family]
            axes.plot([point.seconds], [point.value], shape, color=colour, markersize=6)
        axes.set_xscale("log")
        axes.margins(x=0.12, y=0.12)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(lambda *_: "")
        axes.set(xlabel="final fit, seconds (log scale)", ylabel=metric)
        axes.grid(alpha=0.2, color="#000000")
        _families(axes, points)
        figure.canvas.draw()
        _label(axes, points)

    shown = "; ".join(f"{p.model} {p.value:.4f} after {p.seconds:.3g} s" for p in points)
    text = f"{metric} against seconds of the final fit: {shown}."
    return draw(name, text, (WIDTH, 3.6), paint)


def _label(axes: "Axes", points: Sequence[Point]) -> None:
    """Name the points, to the side where there is room; leave out names that would lie far off."""
    places = axes.transData.transform([(p.seconds, p.value) for p in points])
    left, right = axes.bbox.x0, axes.bbox.x1
    line = 11.0
    scale = axes.figure.dpi / 72
    taken = [(x - 3 * scale, x + 3 * scale, y) for x, y in places]
    for point, (x, y) in sorted(zip(points, places, strict=True), key=lambda one: -one[1][1]):
        width = 5.2 * len(point.model) * scale
        flip = x + width + 8 * scale > right and x - width > left
        start = x - width - 6 * scale if flip else x + 6 * scale
        height = y
        while any(
            abs(height - other) < line * scale and start < end and begin < start + width
            for begin, end, other in taken
        ):
            height -= 2 * scale
        if y - height > 2 * line * scale:
            continue
        taken.append((start, start + width, height))
        axes.annotate(
            point.model,
            (point.seconds, point.value),
            xytext=(-6 if flip else 6, (height - y) / scale),
            textcoords="offset points",
            ha="right" if flip else "left",
            va="center",
            fontsize=8,
        )


def critical_difference(name: str, test: RankTest) -> Markup:
    """Draw mean ranks on a line; bars join models that are not told apart."""
    n = len(test.models)
    depth = 0.45 * len(test.groups) + 0.6
    half = (n + 1) // 2

    def paint(figure: "Figure") -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        # The share of the width that the longest name takes on a side, at some 4.7 points a letter.
        share = min(0.4, 0.04 + 4.7 * (max(map(len, test.models)) + 6) / (72 * WIDTH))
        locator = MaxNLocator(max(2, round(16 * (1 - 2 * share))), integer=True)
        ticks = locator.tick_values(min(test.mean_ranks), max(test.mean_ranks))
        left, right = float(ticks[0]), float(ticks[-1])
        span = right - left
        axes.plot([left, right], [0, 0], color="#000000", linewidth=1)
        for tick in ticks:
            axes.plot([tick, tick], [0, 0.15], color="#000000", linewidth=1)
            axes.text(tick, 0.3, f"{tick:g}", ha="center", va="bottom", fontsize=8)
        for level, (first, last) in enumerate(test.groups):
            height = -0.45 * (level + 1)
            ends = [test.mean_ranks[first] - span / 120, test.mean_ranks[last] + span / 120]
            axes.plot(ends, [height, height], color=ORANGE, linewidth=3.5)
        for place, (model, rank) in enumerate(zip(test.models, test.mean_ranks, strict=True)):
            best = place < half
            height = -depth - 0.75 * (place if best else n - 1 - place)
            side = left - 0.02 * span if best else right + 0.02 * span
            axes.plot([rank, rank, side], [0, height, height], color=BLUE, linewidth=1)
            axes.text(
                side + (-0.01 if best else 0.01) * span,
                height,
                f"{model} {rank:.2f}" if best else f"{rank:.2f} {model}",
                ha="right" if best else "left",
                va="center",
                fontsize=8,
            )
        room = span * share / (1 - 2 * share)
        axes.set(xlim=(left - room, right + room), ylim=(-depth - 0.75 * half, 1.2))
        axes.axis("off")

    shown = "; ".join(f"{m} {r:.2f}" for m, r in zip(test.models, test.mean_ranks, strict=True))
    alike = "; ".join(" and ".join(test.models[a : b + 1]) for a, b in test.groups)
    text = f"Mean ranks, 1 is best: {shown}. Not told apart: {alike or 'none'}."
    return draw(name, text, (WIDTH, 0.19 * (depth / 0.75 + half) + 0.5), paint)


def values_of(trials: Trials, state: str) -> list[tuple[int, float]]:
    """Return number and value of the trials in a state."""
    return [(trial["number"], trial["value"]) for trial in trials if trial["state"] == state]


def curves_of(trials: Trials, metric: str) -> Curves:
    """Return the epochs of the trials that have values of the metric by epoch."""
    curves = {
        trial["number"]: [
            (epoch["epoch"], epoch[metric]) for epoch in trial.get("curve") or () if metric in epoch
        ]
        for trial in trials
    }
    return {number: curve for number, curve in curves.items() if curve}


def paint_search(axes: "Axes", trials: Trials, colour: str, best: str, other: str) -> None:
    """Draw what each trial reached, the best so far, and which were pruned or failed."""
    done = values_of(trials, "complete")
    so_far = [(n, max(value for k, value in done if k <= n)) for n, _ in done]
    axes.plot(*_columns(done), "o", color=colour, markersize=4, label="trial")
    axes.step(*_columns(so_far), where="post", color=best, label="best so far")
    axes.plot(*_columns(values_of(trials, "pruned")), "x", color=other, markersize=4)
    for trial in trials:
        if trial["value"] is None:
            axes.axvline(trial["number"], color=other, linestyle=":")


def paint_epochs(axes: "Axes", curves: Curves, best: int, colour: str, **others: Any) -> None:
    """Draw each trial by epoch: the best in front in a colour, others as `Axes.plot` is told."""
    for number, curve in curves.items():
        look = {"color": colour, "linewidth": 2, "zorder": 3} if number == best else others
        axes.plot(*_columns(curve), **look)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def search(name: str, trials: Trials, metric: str, model: str) -> Markup:
    """Draw what each trial reached on validation, and the best so far."""

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        paint_search(axes, trials, BLUE, ORANGE, GREY)
        _small(axes, "trial", metric)

    done = values_of(trials, "complete")
    best = max((value for _, value in done), default=0.0)
    text = (
        f"Search of {model}: {metric} on validation by trial; {len(done)} trials reached up to "
        f"{best:.4f}, {len(values_of(trials, 'pruned'))} were pruned, "
        f"{sum(trial['value'] is None for trial in trials)} failed."
    )
    return draw(name, text, (3.0, 2.2), paint)


def epochs(name: str, trials: Trials, metric: str, model: str) -> Markup | None:
    """Draw validation by epoch, of each trial, the best one in front; None without epochs."""
    curves = curves_of(trials, metric)
    if not curves:
        return None
    best = max(curves, key=lambda number: (max(v for _, v in curves[number]), -number))

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        paint_epochs(axes, curves, best, ORANGE, color=GREY, linewidth=0.8)
        for line in axes.lines:
            if len(line.get_ydata()) < 30:  # type: ignore[arg-type]
                line.set_marker(".")
        _small(axes, "epoch", metric)

    top, value = max(curves[best], key=lambda one: one[1])
    text = (
        f"Training of {model}: {metric} on validation by epoch, one line a trial; the best, trial "
        f"{best}, peaks at {value:.4f} after epoch {top:g}."
    )
    return draw(name, text, (3.0, 2.2), paint)


def _small(axes: "Axes", x: str, y: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.2, color="#000000")


def popularity(name: str, rows: Sequence[tuple[str, dict[str, float]]], verdict: str) -> Markup:
    """Draw measures of item popularity in train, in test, and in random test parts."""
    looks = {"train": (GREY, "o"), "test": (ORANGE, "s"), "random": (GREEN, "D")}
    labels = {"train": "train", "test": "test", "random": "test, if it were random"}

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        for place, (_, values) in enumerate(rows):
            axes.plot(
                [min(values.values()), max(values.values())],
                [place, place],
                color=GREY,
                alpha=0.5,
                linewidth=1,
            )
            for part, value in values.items():
                colour, shape = looks[part]
                axes.plot([value], [place], shape, color=colour, markersize=6)
        for part, (colour, shape) in looks.items():
            axes.plot([], [], shape, color=colour, label=labels[part])
        axes.set_yticks(range(len(rows)), [title for title, _ in rows])
        axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5))
        axes.grid(axis="x", alpha=0.2, color="#000000")
        figure.legend(loc="outside upper center", ncols=3)

    shown = "; ".join(
        f"{title}: " + ", ".join(f"{labels[part]} {value:.2f}" for part, value in values.items())
        for title, values in rows
    )
    text = f"Popularity of items; the audit: {verdict}. {shown}."
    return draw(name, text, (WIDTH, 1.8), paint)
