"""The study of this repository, and the pages of made-up ones."""

from pathlib import Path

import pytest

from recrepro.cli.study import Options, cannot_run
from recrepro.run.resolve import check_names
from recrepro.study.page import StudyRow, render
from recrepro.study.records import StudyModel, read_records
from recrepro.study.spec import QUICK_HOURS, QUICK_SECONDS, QUICK_USERS, load_study, quick

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def loaded():
    return load_study(EXPERIMENTS / "study.toml")


def test_the_study_of_this_repository_can_be_meant(loaded):
    pytest.importorskip("torch", reason="neural models need torch")
    for file, experiment in loaded.experiments.items():
        check_names(experiment, EXPERIMENTS)
        assert len(experiment.datasets) == len(experiment.splits) == 1, file
    for paper in loaded.study.papers:
        assert paper.tuned or paper.published or paper.needs, paper.name
        if paper.tuned:
            tune = loaded.experiments[paper.tuned.file].tune
            assert tune.hindsight
            assert tune.trials == 20


def test_the_twelve_papers_are_there(loaded):
    methods = {paper.method.split(",")[0].split(" ")[0] for paper in loaded.study.papers}
    first = {"NeuMF", "CMN", "CVAE", "CDL", "MCRec", "SpectralCF", "Mult-VAE", "ConvNCF"}
    assert methods == first | {"NeuRec", "DMF", "CoupledCF", "DELF"}


def test_quick_ones_come_first(loaded):
    stages = loaded.stages()
    assert {stage.file for stage in stages} == loaded.experiments.keys()
    assert len(stages) == len(loaded.experiments)
    minutes = [stage.minutes for stage in stages]
    assert minutes == sorted(minutes)


def test_minutes_of_an_experiment_are_the_same_for_all_of_its_papers(loaded):
    told = {(s.file, s.minutes) for paper in loaded.study.papers for s in paper.stages}
    assert len(told) == len(loaded.experiments)


@pytest.mark.parametrize(
    ("trials", "quick", "marks"),
    [(1, False, " †"), (4, False, " †"), (5, False, ""), (3, True, " Q"), (None, False, "")],
)
def test_a_verdict_on_a_method_with_few_trials_is_marked(loaded, trials, quick, marks):
    told = {"model": "m", "name": "m", "params": {}, "fit_s": 1.0, "score_s": 1.0, "metrics": {}}
    model = StudyModel(**told, trials=trials)
    (tuned, *_) = read_records(EXPERIMENTS / "records").values()
    tuned = tuned.model_copy(update={"quick": quick})
    paper = loaded.study.papers[0]
    assert StudyRow(paper, "beaten", tuned, None, None, model).marks == marks


def test_a_quick_experiment_has_another_hash_and_a_budget_of_seconds(loaded):
    whole = loaded.experiments["study/movielens-100k-ratings.toml"]
    small = quick(whole)
    assert small.grid_hash != whole.grid_hash
    assert small.tune.seconds == QUICK_SECONDS
    assert [len(split.seeds) for split in small.splits] == [1]
    assert not small.tune.hindsight
    assert small.tune.evaluate_every == 1
    (dataset,) = small.datasets
    assert dataset.filters[-1].name == "sample-users"
    assert dataset.filters[-1].options == {"users": QUICK_USERS}


@pytest.mark.parametrize(
    ("small", "hours", "limit"), [(True, None, QUICK_HOURS), (True, 2.0, 2.0), (False, None, None)]
)
def test_a_quick_study_ends_within_half_an_hour_unless_told_otherwise(small, hours, limit):
    options = Options(Path("runs"), Path("records"), quick=small, hours=hours)
    assert options.time_limit == limit
    assert QUICK_HOURS < 0.5


def test_what_needs_torch_is_left_out_where_there_is_none(loaded, monkeypatch):
    def no_torch(module):
        raise ModuleNotFoundError(module, name="torch")

    monkeypatch.setattr("recrepro.cli.study.unavailable", lambda *_: None)
    monkeypatch.setattr("recrepro.registry.import_module", no_torch)
    why = cannot_run(loaded, loaded.stages()[-1], Options(Path("runs"), Path("records")))
    assert "needs the package 'torch'" in why
    assert "pip install 'recrepro[neural]'" in why


def test_a_page_without_records_says_that_nothing_was_run(loaded):
    page = render(loaded, {})
    assert f"Of {len(loaded.study.papers)} pairs of a paper and a data set, 0 were run" in page
    verdicts = page.partition("## Without a verdict")[2].partition("## As published")[0]
    only = sum(bool(p.published) and p.tuned is None for p in loaded.study.papers)
    assert only > 0
    assert verdicts.count("| only as published |") == only
    assert verdicts.count("| not run |") == len(loaded.study.papers) - only
    for paper in loaded.study.papers:
        assert paper.needs in verdicts
        assert f"### {paper.name}\n" in page
        for flaw in paper.flaws:
            assert flaw in page
