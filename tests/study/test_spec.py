"""The study of this repository, and the pages of made-up ones."""

import re
from pathlib import Path

import pytest

from recrepro.analysis.evidence import FEWEST_SEEDS
from recrepro.cli.study import Options, cannot_run
from recrepro.run.resolve import check_names
from recrepro.study.page import find, render
from recrepro.study.records import read_records
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
        for stage in paper.tuned:
            experiment = loaded.experiments[stage.file]
            assert experiment.tune.hindsight
            assert experiment.tune.trials == 20
            (split,) = experiment.splits
            assert len(split.seeds) * experiment.evaluate.fits >= FEWEST_SEEDS


def test_a_cut_in_time_comes_first_and_stands_beside_another_split(loaded):
    several = [paper for paper in loaded.study.papers if len(paper.tuned) > 1]
    assert len(several) > 10
    for paper in loaded.study.papers:
        names = [loaded.experiments[stage.file].splits[0].name for stage in paper.tuned]
        assert [name == "temporal" for name in names] == [
            paper in several and place == 0 for place in range(len(names))
        ]


@pytest.mark.parametrize("paper", ["ncf", "neurec", "delf"])
def test_where_the_last_interaction_is_tested_the_one_before_is_for_validation(loaded, paper):
    (split,) = loaded.experiments[f"study/movielens-1m-{paper}.toml"].splits
    assert split.options == {"validation": "last"}


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


def tables(page):
    """Return the rows of both tables of verdicts, by the anchor of the paper."""
    first = page.partition("## Verdicts on the primary split\n")[2].partition("\n## ")[0]
    second = page.partition("## Verdicts on other splits\n")[2].partition("\n## ")[0]
    rows = [
        re.findall(r"^\| \[.*?\]\(#(.*?)\) \| (.*) \|$", text, re.MULTILINE)
        for text in (first, second)
    ]
    return [{name: row.split(" | ") for name, row in found} for found in rows]


def test_the_verdict_on_the_primary_split_is_apart_from_that_on_another(loaded):
    (first, second) = next(p for p in loaded.study.papers if p.name == "ncf-movielens-1m").tuned
    other = read_records(EXPERIMENTS / "records")[second.name]
    primary = other.model_copy(
        update={
            "experiment": first.name,
            "split": "temporal (fraction = 0.2)",
            "grid": loaded.experiments[first.file].grid_hash,
        }
    )
    both = tables(render(loaded, {first.name: primary, second.name: other}))
    assert [found.keys() for found in both] == [{"ncf-movielens-1m"}] * 2
    assert [found["ncf-movielens-1m"][:2] for found in both] == [
        ["temporal (fraction = 0.2)", "**not enough evidence**"],
        ["published (validation = leave-one-out)", "**not enough evidence** †"],
    ]
    (alone, none) = tables(render(loaded, {first.name: primary}))
    assert alone == both[0]
    assert none == {}
    page = render(loaded, {second.name: other})
    assert tables(page) == [{}, both[1]]
    line = (
        "| [NeuMF, MovieLens 1M](#ncf-movielens-1m) | temporal (fraction = 0.2) | not run | not yet"
    )
    assert line in page


@pytest.mark.parametrize(("small", "marks"), [(True, " Q"), (False, "")])
@pytest.mark.parametrize("changed", [True, False])
def test_a_quick_run_and_an_experiment_that_was_changed_since_are_marked(
    loaded, small, marks, changed
):
    paper = next(p for p in loaded.study.papers if p.name == "cmn-citeulike-a")
    (stage,) = paper.tuned
    experiment = loaded.experiments[stage.file]
    ran = quick(experiment) if small else experiment
    grid = "another" if changed else ran.grid_hash
    record = read_records(EXPERIMENTS / "records")[stage.name]
    record = record.model_copy(update={"quick": small, "grid": grid})
    row = find(paper, stage, experiment, {stage.name: record})
    assert row.marks == marks + (" †" if changed else "")


def test_a_quick_experiment_has_another_hash_and_a_budget_of_seconds(loaded):
    whole = loaded.experiments["study/movielens-100k-ratings.toml"]
    small = quick(whole)
    assert small.grid_hash != whole.grid_hash
    assert small.tune.seconds == QUICK_SECONDS
    assert [len(split.seeds) for split in small.splits] == [1]
    assert (whole.evaluate.fits, small.evaluate.fits) == (3, 1)
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
    rows = sum(max(len(paper.tuned), 1) for paper in loaded.study.papers)
    only = sum(bool(p.published) and not p.tuned for p in loaded.study.papers)
    assert only > 0
    assert verdicts.count("| only as published |") == only
    assert verdicts.count("| not run |") == rows - only
    for paper in loaded.study.papers:
        assert paper.needs in verdicts
        assert f"### {paper.name}\n" in page
        for flaw in paper.flaws:
            assert flaw in page
