"""The page of verdicts in the docs: written from records only."""

import re
from pathlib import Path

from recrepro.analysis.verdict import OUTCOMES
from recrepro.store.records import FEWEST_TRIALS
from recrepro.study.page import find, render
from recrepro.study.records import read_records
from recrepro.study.spec import load_study

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "experiments/study.toml"


def test_the_page_is_what_the_study_writes_from_the_records():
    written = render(load_study(STUDY), read_records(ROOT / "experiments/records"))
    page = (ROOT / "docs/verdicts.md").read_text(encoding="utf-8")
    assert page == written, (
        "recrepro study experiments/study.toml --records experiments/records "
        "--page docs/verdicts.md"
    )


def test_every_record_belongs_to_an_experiment():
    experiments = {path.stem for path in (ROOT / "experiments").glob("*/*.toml")}
    assert set(read_records(ROOT / "experiments/records")) <= experiments


def test_the_readme_counts_as_the_page_does_and_claims_no_more():
    page = (ROOT / "docs/verdicts.md").read_text(encoding="utf-8")
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    counted = re.search(r"Of (\d+) pairs of a paper and a data set, (\d+) were run", page)
    assert counted is not None
    of, judged = counted.groups()
    loaded, records = load_study(STUDY), read_records(ROOT / "experiments/records")
    rows = [
        find(paper, stage, loaded.experiments[stage.file], records)
        for paper in loaded.study.papers
        for stage in paper.tuned
    ]
    run = [row.model for row in rows if row.model]
    assert len(run) == int(judged)
    short = sum(model.trials - model.failed < FEWEST_TRIALS for model in run)
    assert f"So far {judged} of {of} pairs of a paper and a data set" in readme
    assert f"In {short} of these {judged} the method completed fewer than five trials" in readme
    assert "not enough evidence yet" in readme
    assert "beaten in" not in readme


def test_the_page_names_outcomes_by_the_rules_of_today():
    page = (ROOT / "docs/verdicts.md").read_text(encoding="utf-8")
    outcomes = re.findall(r"\*\*([^|*]+)\*\*(?: †)? \|", page)
    assert outcomes
    assert set(outcomes) <= set(OUTCOMES)
    for words in ("beaten", "without leaks", "no difference shown"):
        assert words not in page


def test_the_hours_are_those_of_each_experiment_once():
    page = (ROOT / "docs/verdicts.md").read_text(encoding="utf-8")
    hours = [r.hours for r in read_records(ROOT / "experiments/records").values()]
    assert f"took {sum(hours):.1f} hours of one core" in page
