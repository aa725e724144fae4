"""A study: papers, each with the experiments that answer for it. The schema of its file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, ValidationError, model_validator

from recrepro.errors import UsageError
from recrepro.spec.experiment import (
    Expected,
    Experiment,
    FilterSpec,
    Name,
    TomlTable,
    first_repeat,
    load_experiment,
)
from recrepro.spec.explain import refusal
from recrepro.spec.read import read_toml

QUICK_TRIALS = 3
QUICK_SECONDS = 5.0
"""What a quick study gives each model, in place of an experiment's budget."""
QUICK_USERS = 500
"""How many users' interactions a quick study has, drawn at random."""
QUICK_MINUTES = 2.0
"""Experiments as published that take longer are left out of a quick study."""
QUICK_HOURS = 0.45
"""How long a quick study runs where nothing else is said: under half an hour, on any machine."""


class Stage(TomlTable):
    """An experiment of a paper, and how long it takes on two cores."""

    file: str
    minutes: PositiveFloat

    @property
    def name(self) -> str:
        """Name of the experiment: its file name without the ending."""
        return Path(self.file).stem


class Paper(TomlTable):
    """A paper on one data set, as the study counts them.

    `models` are titles of its method, and its variants, in `tuned`; `printed` are those in
    `published`, where they differ. `published` are experiments with published hyperparameters and
    expected values. `tuned` are experiments in which the method and simple models are tuned with
    equal budgets, each on one split; the first one is the primary one. `study_says` is what the
    original study found; `flaws` what a reader has to know of the published protocol; `needs` what
    has to be brought before it can be run.
    """

    name: Name
    method: str
    citation: str
    dataset: str
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    printed: tuple[str, ...] = ()
    published: tuple[Stage, ...] = ()
    tuned: tuple[Stage, ...] = ()
    study_says: str = ""
    flaws: tuple[str, ...] = ()
    needs: str = ""

    @model_validator(mode="after")
    def _distinct_experiments(self) -> "Paper":
        twice = first_repeat(stage.file for stage in self.stages)
        if twice is not None:
            raise ValueError(f"the experiment {twice!r} is listed twice")
        return self

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All of its experiments."""
        return (*self.published, *self.tuned)


class Study(TomlTable):
    """A study file."""

    schema_version: Literal[1] = Field(alias="schema")
    title: str
    introduction: str = ""
    notes: tuple[str, ...] = ()
    papers: Annotated[tuple[Paper, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct(self) -> "Study":
        twice = first_repeat(paper.name for paper in self.papers)
        if twice is not None:
            raise ValueError(f"two papers are called {twice!r}")
        return self


@dataclass(frozen=True)
class Loaded:
    """A study with its experiments.

    Parameters
    ----------
    path : Path
        The study file; names of experiments start from its folder.
    study : Study
        As read.
    experiments : dict of str to Experiment
        By file, as the study names it.
    """

    path: Path
    study: Study
    experiments: dict[str, Experiment]

    def file(self, stage: Stage) -> Path:
        """Return the path of an experiment."""
        return self.path.parent / stage.file

    def stages(self) -> list[Stage]:
        """Return every experiment once, the quick ones first."""
        stages = {stage.file: stage for paper in self.study.papers for stage in paper.stages}
        return sorted(stages.values(), key=lambda stage: stage.minutes)

    def is_tuned(self, stage: Stage) -> bool:
        """Say whether models are tuned in an experiment."""
        return any(stage.file == s.file for paper in self.study.papers for s in paper.tuned)

    def expected(self, paper: Paper) -> tuple[Stage, Expected] | None:
        """Return the first published value of a paper's method, and where it is expected."""
        titles = paper.printed or paper.models
        for stage in paper.published:
            for value in self.experiments[stage.file].expected:
                if value.model in titles:
                    return stage, value
        return None


def load_study(path: Path) -> Loaded:
    """Read a study and all of its experiments.

    Raises
    ------
    UsageError
        Naming the file and the place in it.
    """
    text, content = read_toml(path, "study")
    try:
        study = Study.model_validate(content, strict=False)
    except ValidationError as error:
        raise refusal(error, Study, str(path), text) from error
    files = {stage.file for paper in study.papers for stage in paper.stages}
    loaded = Loaded(path, study, {f: load_experiment(path.parent / f) for f in sorted(files)})
    for paper in study.papers:
        for stage in paper.tuned:
            titles = [model.title for model in loaded.experiments[stage.file].models]
            for model in paper.models:
                if model not in titles:
                    raise UsageError(
                        f"{path}, paper {paper.name!r}: {stage.file} has no model {model!r}; it "
                        f"has {', '.join(titles)}."
                    )
    return loaded


def quick(experiment: Experiment) -> Experiment:
    """Return an experiment with few users, a budget of seconds, one fit, no look back at test."""
    few = FilterSpec.model_validate({"name": "sample-users", "users": QUICK_USERS})
    datasets = tuple(
        d.model_copy(update={"filters": (*d.filters, few)}) for d in experiment.datasets
    )
    splits = tuple(s.model_copy(update={"seeds": s.seeds[:1]}) for s in experiment.splits)
    tune = experiment.tune
    if tune is not None:
        budget = {"trials": QUICK_TRIALS, "seconds": QUICK_SECONDS, "hindsight": False}
        # Time is looked at after a validation: with one an epoch, no trial lasts much longer.
        tune = tune.model_copy(update={**budget, "evaluate_every": 1})
    once = experiment.evaluate.model_copy(update={"fits": 1})
    small = {"datasets": datasets, "splits": splits, "tune": tune, "evaluate": once}
    return experiment.model_copy(update=small)
