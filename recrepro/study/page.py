"""The page of a study: each paper's verdict, from records that are kept beside the study."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from recrepro.analysis.verdict import BoardVerdict, ModelVerdict
from recrepro.study.records import StudyModel, StudyRecord
from recrepro.study.spec import Loaded, Paper
from recrepro.tables.cells import p_text
from recrepro.tables.verdicts import times
from recrepro.text.templates import render as render_template
from recrepro.text.words import count

Outcome = Literal["beaten", "better", "no difference shown", "not run"]
OUTCOMES: dict[str, Outcome] = {"no": "beaten", "yes": "better", "not shown": "no difference shown"}

FEW_TRIALS = 5
"""A method with fewer is marked: it has hardly been tuned."""


@dataclass(frozen=True)
class StudyRow:
    """A paper with its verdict.

    Parameters
    ----------
    paper : Paper
        The paper.
    outcome : str
        The verdict in words.
    tuned : StudyRecord or None
        Record of the experiment in which everything is tuned; None if there is no verdict.
    board : BoardVerdict or None
        The verdicts of that experiment.
    verdict : ModelVerdict or None
        The one on the paper's method.
    model : StudyModel or None
        The method in `tuned`.
    """

    paper: Paper
    outcome: Outcome
    tuned: StudyRecord | None = None
    board: BoardVerdict | None = None
    verdict: ModelVerdict | None = None
    model: StudyModel | None = None

    @property
    def marks(self) -> str:
        """Marks of a weaker verdict: a quick run (Q), few trials of the method (†)."""
        if self.tuned is None or self.model is None:
            return ""
        if self.tuned.quick:
            return " Q"
        return " †" if (self.model.trials or FEW_TRIALS) < FEW_TRIALS else ""

    @property
    def simple(self) -> StudyModel:
        """The best tuned simple model."""
        assert self.tuned is not None
        assert self.board is not None
        baseline = self.board.baseline
        return next(model for model in self.tuned.models if model.model == baseline)

    @property
    def compared(self) -> list[StudyModel]:
        """The paper's models and all that are not neural, the best first."""
        assert self.tuned is not None
        assert self.board is not None
        metric, own = self.board.metric, self.paper.models
        models = (m for m in self.tuned.models if m.family != "neural" or m.model in own)
        return sorted(models, key=lambda model: -model.metrics[metric])


def find(paper: Paper, records: Mapping[str, StudyRecord]) -> StudyRow:
    """Look up the verdict on a paper's method; of several variants, that on the best one."""
    tuned = records.get(paper.tuned.name) if paper.tuned else None
    if tuned is None:
        return StudyRow(paper, "not run")
    (board,) = tuned.verdicts
    judged = [m for m in board.models if m.model in paper.models]
    rows = {m.model: m for m in tuned.models}
    best = max(judged, key=lambda m: rows[m.model].metrics[board.metric], default=None)
    if best is None:
        return StudyRow(paper, "not run")
    return StudyRow(paper, OUTCOMES[best.answer], tuned, board, best, rows[best.model])


def render(loaded: Loaded, records: Mapping[str, StudyRecord]) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    loaded : Loaded
        The study.
    records : mapping of str to StudyRecord
        By name of the experiment.
    """
    rows = [find(paper, records) for paper in loaded.study.papers]
    page = render_template(
        files("recrepro.study") / "page.md.j2",
        file=loaded.path.name,
        folder=loaded.path.parent.name,
        study=loaded.study,
        rows=rows,
        counts=Counter(row.outcome for row in rows),
        hours=sum({r.tuned.experiment: r.tuned.hours for r in rows if r.tuned}.values()),
        few_trials=FEW_TRIALS,
        published=[_published(loaded, paper, records) for paper in loaded.study.papers],
        hindsight=list(dict.fromkeys(_hindsight(rows))),
        **{tool.__name__: tool for tool in (count, p_text, times)},
    )
    return page.rstrip("\n") + "\n"


def _published(
    loaded: Loaded, paper: Paper, records: Mapping[str, StudyRecord]
) -> dict[str, Any] | None:
    """Return a paper's first published value, ours, and how many values are as expected."""
    found = loaded.expected(paper)
    if found is None:
        return None
    stage, expected = found
    known = {s.file: records[s.name].values for s in paper.published if s.name in records}
    wanted = (expected.model, expected.metric)
    same = (v.got for v in known.get(stage.file, ()) if (v.model, v.metric) == wanted)
    verdicts = [v.verdict for values in known.values() for v in values]
    return {
        "paper": paper,
        "expected": expected,
        "got": next(same, None),
        "ok": verdicts.count("ok"),
        "total": len(verdicts),
    }


def _hindsight(rows: Iterable[StudyRow]) -> Iterable[tuple[Any, ...]]:
    """Return what each method would gain by the epoch that is best on test."""
    for row in rows:
        for model in row.tuned.models if row.tuned else ():
            seen = model.hindsight
            if model.model in row.paper.models and seen and seen.gain is not None:
                chosen, best = ("metric", "value", "epoch"), ("best_value", "best_epoch", "gain")
                values = (getattr(seen, name) for name in (*chosen, *best, "epochs"))
                yield (row.paper.dataset, model.model, *values)
