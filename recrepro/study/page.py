"""The page of a study: each paper's verdict, from records that are kept beside the study."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recrepro.study.records import Kept
from recrepro.study.spec import Loaded, Paper
from recrepro.tables.verdicts import times
from recrepro.words import count

Outcome = Literal["beaten", "better", "no difference shown", "not run"]
OUTCOMES: dict[str, Outcome] = {
    "no": "beaten",
    "yes": "better",
    "not shown": "no difference shown",
}

FEW_TRIALS = 5
"""A method with fewer is marked: it has hardly been tuned."""


def read_records(folder: Path) -> dict[str, Kept]:
    """Return the records in a folder, by the name of their experiment."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return {record["experiment"]: record for record in found}


@dataclass(frozen=True)
class Finding:
    """What the records say of a paper."""

    paper: Paper
    outcome: Outcome
    tuned: Kept | None
    board: dict[str, Any] | None
    best: dict[str, Any] | None
    model: Mapping[str, Any] | None

    @property
    def marks(self) -> str:
        """What makes the verdict weaker: a quick run (Q), few trials of the method (†)."""
        if self.tuned is None or self.model is None:
            return ""
        if self.tuned.get("quick"):
            return " Q"
        return " †" if (self.model["trials"] or FEW_TRIALS) < FEW_TRIALS else ""


def find(paper: Paper, records: Mapping[str, Kept]) -> Finding:
    """Look up the verdict on a paper's method; of several variants, that on the best one."""
    tuned = records.get(Path(paper.tuned.file).stem) if paper.tuned else None
    if tuned is None:
        return Finding(paper, "not run", None, None, None, None)
    (board,) = tuned["verdicts"]
    judged = [m for m in board["models"] if m["model"] in paper.models]
    rows = {m["model"]: m for m in tuned["models"]}
    best = max(judged, key=lambda m: rows[m["model"]]["metrics"][board["metric"]], default=None)
    if best is None:
        return Finding(paper, "not run", None, None, None, None)
    return Finding(paper, OUTCOMES[best["answer"]], tuned, board, best, rows[best["model"]])


def render(loaded: Loaded, records: Mapping[str, Kept]) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    loaded : Loaded
        The study.
    records : mapping of str to dict
        By name of the experiment, as `recrepro.study.records.kept` makes them.
    """
    study = loaded.study
    findings = [find(paper, records) for paper in study.papers]
    parts = [
        f"# {study.title}\n",
        f"<!-- Written by `recrepro study {loaded.path.name}` from records of experiments. -->\n",
    ]
    parts += [f"{study.introduction}\n"] if study.introduction else []
    parts += [_count(findings), "## Verdicts\n", _verdicts(findings)]
    parts += ["## Without a verdict\n", _without(findings)]
    parts += ["## As published\n", _published(loaded, records)]
    parts += ["## Picking the epoch on the test part\n", _hindsight(findings)]
    if study.notes:
        parts += ["## Traps\n", "".join(f"- {note}\n" for note in study.notes)]
    parts += ["## Paper by paper\n", *(_section(loaded, f) for f in findings)]
    return "\n".join(parts).rstrip("\n") + "\n"


def _count(findings: list[Finding]) -> str:
    counts = Counter(f.outcome for f in findings)
    judged = len(findings) - counts["not run"]
    text = (
        f"Of {len(findings)} pairs of a paper and a data set, {judged} were run with everything "
        f"tuned: the method is **beaten in {counts['beaten']} of {judged}** by the best tuned "
        f"simple baseline, better in {counts['better']}, and no difference is shown in "
        f"{counts['no difference shown']}.\n"
    )
    if judged:
        hours = {f.tuned["experiment"]: f.tuned["hours"] for f in findings if f.tuned}
        text += f"\nThese experiments took {sum(hours.values()):.1f} hours of one core in all.\n"
    small, few = (sum(mark in f.marks for f in findings) for mark in "Q†")
    if small:
        text += f"\nMarked Q: {small} from a quick run, on few users with a budget of seconds.\n"
    if few:
        text += (
            f"\n{few} of these verdicts are of methods whose time was up before {FEW_TRIALS} "
            "trials, the first of which has their own defaults; marked †. More time may change "
            "them.\n"
        )
    return text


def _verdicts(findings: list[Finding]) -> str:
    rows = []
    for f in findings:
        if f.tuned is None or f.board is None or f.best is None or f.model is None:
            continue
        metric = f.board["metric"]
        simple = next(m for m in f.tuned["models"] if m["model"] == f.board["baseline"])
        outcome = f"**{f.outcome}**{f.marks}"
        rows.append(
            [
                *(_anchor(f.paper), outcome, metric),
                f"{f.model['model']} {_value(f.model, metric)}",
                f"{simple['model']} {_value(simple, metric)}",
                _difference(f.best),
                _p(f.best["p"]),
                f"{f.model['trials']}, {simple['trials']}",
                _cost(f.best),
            ]
        )
    if not rows:
        return "None yet.\n"
    names = ["paper", "verdict", "metric", "method", "best tuned simple", "difference", "p"]
    return _table([*names, "trials of both", "cost of its fit"], rows, right=(5, 6, 7, 8))


def _without(findings: list[Finding]) -> str:
    rows = []
    for paper in (f.paper for f in findings if f.outcome == "not run"):
        if paper.tuned is None:
            state = "only as published" if paper.published else "not run"
            rows.append([_anchor(paper), state, paper.needs])
        else:
            why = paper.needs or f"not yet: about {paper.tuned.minutes:g} minutes on two cores"
            rows.append([_anchor(paper), "not run", why])
    return _table(["paper", "state", "why"], rows, right=()) if rows else "None.\n"


def _anchor(paper: Paper) -> str:
    return f"[{paper.method}, {paper.dataset}](#{paper.name})"


def _published(loaded: Loaded, records: Mapping[str, Kept]) -> str:
    rows = []
    for paper in loaded.study.papers:
        found = loaded.expected(paper)
        if found is None:
            continue
        stage, expected = found
        record = records.get(Path(stage.file).stem)
        values = record["values"] if record else []
        got = next(
            (
                v["got"]
                for v in values
                if (v["model"], v["metric"]) == (expected.model, expected.metric)
            ),
            None,
        )
        counted = Counter(
            v["verdict"]
            for s in paper.published
            for v in records.get(Path(s.file).stem, {}).get("values", [])
        )
        total = counted.total()
        rows.append(
            [
                *(_anchor(paper), f"{expected.metric} of {expected.model}"),
                f"{expected.published or expected.value:.4f}",
                "not run" if got is None else f"{got:.4f}",
                f"{counted['ok']} of {total}" if total else "",
            ]
        )
    names = ["paper", "value", "printed", "ours", "all values as expected"]
    return _table(names, rows, right=(2, 3, 4))


def _hindsight(findings: list[Finding]) -> str:
    rows = []
    for f in findings:
        if f.tuned is None:
            continue
        for model in f.tuned["models"]:
            seen = model.get("hindsight")
            if model["model"] not in f.paper.models or not seen or seen["gain"] is None:
                continue
            rows.append(
                [
                    *(f.paper.dataset, model["model"], seen["metric"]),
                    f"{seen['value']:.4f} ({seen['epoch']})",
                    f"{seen['best_value']:.4f} ({seen['best_epoch']})",
                    f"{seen['gain']:+.4f}",
                    str(seen.get("epochs") or ""),
                ]
            )
    if not rows:
        return "Not measured yet.\n"
    names = ["data set", "model", "metric", "chosen on validation (epoch)"]
    names += ["best on test (epoch)", "gain", "of epochs"]
    return (
        "The code released with most of these papers prints the best epoch on the test part. In "
        "one training with the tuned hyperparameters, that choice alone gains what stands below. "
        "The training goes on for all epochs in the last column, also where tuning had stopped "
        "early: a best epoch long after the chosen one says that it stopped too soon.\n\n"
    ) + _table(names, list(_unique(rows)), right=(3, 4, 5, 6))


def _unique(rows: list[list[str]]) -> list[list[str]]:
    return [list(row) for row in dict.fromkeys(map(tuple, rows))]


def _section(loaded: Loaded, f: Finding) -> str:
    paper = f.paper
    parts = [f"### {paper.name}\n", f"{paper.method} on {paper.dataset}. {paper.citation}.\n"]
    if paper.study_says:
        parts.append(f"The study: {paper.study_says}\n")
    if paper.flaws:
        parts.append("".join(f"- {flaw}\n" for flaw in paper.flaws))
    if paper.needs:
        parts.append(f"Not run here: {paper.needs}\n")
    files = [f"[{Path(s.file).stem}]({_link(loaded, s.file)})" for s in paper.stages]
    if files:
        parts.append(f"Experiments: {', '.join(files)}.\n")
    if f.tuned is not None and f.board is not None:
        metric = f.board["metric"]
        tuned = f.tuned
        kind = " A quick run." if tuned.get("quick") else ""
        parts.append(
            f"Tuned: {tuned['dataset']}, {tuned['split']}, {tuned['users']:,} users, "
            f"{tuned['ranking']} ranking, {_seeds(tuned)}; audit: {tuned['audit']}. "
            f"{'. '.join(tuned['tuning'])}. {tuned['hours']:g} hours of one core, "
            f"{tuned['machine']}, recrepro {tuned['recrepro']}, commit {tuned['commit']}.{kind}\n"
        )
        wanted = [
            m for m in tuned["models"] if m["family"] != "neural" or m["model"] in paper.models
        ]
        wanted.sort(key=lambda m: -m["metrics"][metric])
        rows = [
            [
                m["model"],
                _value(m, metric),
                _interval(m, metric),
                m["status"] + (f", at the edge: {', '.join(m['at_edge'])}" if m["at_edge"] else ""),
                f"{m['trials'] or ''}",
                f"{m['fit_s']:,.1f}",
                "" if m["tune_s"] is None else f"{m['tune_s']:,.0f}",
            ]
            for m in wanted
        ]
        names = [
            "model",
            metric,
            "95 % interval",
            "hyperparameters",
            "trials",
            "fit, s",
            "tuning, s",
        ]
        parts.append(_table(names, rows, right=(1, 2, 4, 5, 6)))
    return "\n".join(parts)


def _seeds(record: Kept) -> str:
    seeds = record["seeds"]
    return count(len(seeds), "seed")


def _link(loaded: Loaded, file: str) -> str:
    return f"../{loaded.path.parent.name}/{file}"


def _value(model: Mapping[str, Any], metric: str) -> str:
    spread = model.get("spreads", {}).get(metric)
    text = f"{model['metrics'][metric]:.4f}"
    return f"{text} ± {spread:.4f}" if spread is not None else text


def _interval(model: Mapping[str, Any], metric: str) -> str:
    bounds = model.get("intervals", {}).get(metric)
    return "" if bounds is None else f"{bounds[0]:.4f} to {bounds[1]:.4f}"


def _difference(verdict: Mapping[str, Any]) -> str:
    other = verdict["comparison"]
    if other is None:
        return ""
    return f"{other['difference']:+.4f} ({other['low']:+.4f} to {other['high']:+.4f})"


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _cost(verdict: Mapping[str, Any]) -> str:
    ratio = verdict["fit_ratio"]
    return "" if ratio is None else times(ratio)


def _table(names: list[str], rows: list[list[str]], right: tuple[int, ...]) -> str:
    marks = ["---:" if i in right else "---" for i in range(len(names))]
    lines = [" | ".join(row) for row in (names, marks, *rows)]
    return "".join(f"| {line} |\n" for line in lines)
