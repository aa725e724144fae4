"""The page of a study: each paper's verdict, from records that are kept beside the study."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from recrepro.analysis.verdict import BoardVerdict, ModelVerdict, Outcome
from recrepro.spec.experiment import Experiment
from recrepro.study.records import StudyModel, StudyRecord, split_in_words
from recrepro.study.spec import Loaded, Paper, Stage, quick
from recrepro.text.templates import render as render_template
from recrepro.text.words import audit_in_words, count


@dataclass(frozen=True)
class StudyRow:
    """A paper on one split, with its verdict.

    Parameters
    ----------
    paper : Paper
        The paper.
    stage : Stage or None
        The experiment in which everything is tuned; None if the paper has none.
    split : str
        The split of that experiment, as its record says, or its file where there is no record.
    outcome : str
        What the verdict shows, or "not run".
    changed : bool
        Whether the experiment was changed after the record was made.
    tuned : StudyRecord or None
        Record of that experiment; None if there is no verdict.
    board : BoardVerdict or None
        The verdicts of that experiment.
    verdict : ModelVerdict or None
        The one on the paper's method.
    model : StudyModel or None
        The method in `tuned`.
    """

    paper: Paper
    stage: Stage | None = None
    split: str = ""
    outcome: Outcome | Literal["not run"] = "not run"
    changed: bool = False
    tuned: StudyRecord | None = None
    board: BoardVerdict | None = None
    verdict: ModelVerdict | None = None
    model: StudyModel | None = None

    @property
    def marks(self) -> str:
        """Marks beside the verdict: a quick run (Q), an experiment that was changed since (†)."""
        small = self.tuned is not None and self.tuned.quick
        return (" Q" if small else "") + (" †" if self.changed else "")

    @property
    def simple(self) -> StudyModel | None:
        """The baseline that the method is compared with; None if there is none."""
        assert self.tuned is not None
        assert self.verdict is not None
        reference = self.verdict.reference
        if reference is None:
            return None
        return next(model for model in self.tuned.models if model.model == reference.model)

    @property
    def compared(self) -> list[StudyModel]:
        """The paper's models and all that are not neural, the best first."""
        assert self.tuned is not None
        assert self.board is not None
        metric, own = self.board.metric, self.paper.models
        models = (m for m in self.tuned.models if m.family != "neural" or m.model in own)
        return sorted(models, key=lambda model: -model.metrics[metric])


def find(
    paper: Paper, stage: Stage, experiment: Experiment, records: Mapping[str, StudyRecord]
) -> StudyRow:
    """Look up the verdict on a paper's method; of variants, that on the best one on validation.

    Parameters
    ----------
    paper : Paper
        The paper.
    stage : Stage
        One of the experiments in which everything is tuned.
    experiment : Experiment
        That experiment as its file is now.
    records : mapping of str to StudyRecord
        By name of the experiment.
    """
    tuned = records.get(stage.name)
    judged = [m for m in tuned.verdicts[0].models if m.model in paper.models] if tuned else []
    if tuned is None or not judged:
        return StudyRow(paper, stage, split_in_words(experiment.splits[0]))
    rows = {m.model: m for m in tuned.models}
    best = max(judged, key=lambda m: rows[m.model].validation or 0.0)
    current = quick(experiment) if tuned.quick else experiment
    return StudyRow(
        paper,
        stage,
        tuned.split,
        best.outcome,
        tuned.grid != current.grid_hash,
        tuned,
        tuned.verdicts[0],
        best,
        rows[best.model],
    )


def render(loaded: Loaded, records: Mapping[str, StudyRecord]) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    loaded : Loaded
        The study.
    records : mapping of str to StudyRecord
        By name of the experiment.
    """
    rows = [
        [find(paper, stage, loaded.experiments[stage.file], records) for stage in paper.tuned]
        or [StudyRow(paper)]
        for paper in loaded.study.papers
    ]
    every = [row for of_paper in rows for row in of_paper]
    page = render_template(
        files("recrepro.study") / "page.md.j2",
        file=loaded.path.name,
        folder=loaded.path.parent.name,
        study=loaded.study,
        rows=rows,
        primary=[of_paper[0] for of_paper in rows],
        others=[row for of_paper in rows for row in of_paper[1:]],
        every=every,
        hours=sum({r.tuned.experiment: r.tuned.hours for r in every if r.tuned}.values()),
        published=[_published(loaded, paper, records) for paper in loaded.study.papers],
        hindsight=list(dict.fromkeys(_hindsight(every))),
        count=count,
        audit_in_words=audit_in_words,
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
                yield (row.paper.dataset, row.split, model.model, *values)
