"""The page of published values: written from records only, which say what their files say."""

import importlib.util
from pathlib import Path

import pytest

from recrepro.run.resolve import check_names
from recrepro.spec.experiment import load_experiment
from recrepro.study.records import StudyRecord

PAPERS = Path(__file__).parents[2] / "experiments/papers"
FILES = sorted(PAPERS.glob("*.toml"))


@pytest.fixture(scope="module")
def conformance():
    spec = importlib.util.spec_from_file_location("conformance", PAPERS / "conformance.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_record(verdict="ok", note=""):
    value = {"model": "ease", "metric": "ndcg@10", "source": "a table", "note": note}
    value |= {"expected": 0.5, "published": None, "tolerance": 0.001, "verdict": verdict}
    model = {"model": "ease", "name": "ease", "params": {}, "metrics": {"ndcg@10": 0.6}}
    model |= {"fit_s": 30.0, "score_s": 30.0}
    record = {
        "schema": 1,
        "experiment": "some-paper",
        "claim": "A claim",
        "command": "recrepro run some-paper.toml",
        "dataset": "movielens-1m",
        "split": "published",
        "users": 6040,
        "ranking": "full",
        "recrepro": "1.0",
        "commit": "abcdef0",
        "machine": "2 cores",
        "models": [model],
        "values": [value | {"got": 0.6, "difference": 0.1}],
    }
    return StudyRecord.model_validate(record)


def test_the_page_is_what_the_generator_writes_from_the_records(conformance):
    findings = (PAPERS / "findings.md").read_text(encoding="utf-8")
    records = conformance.read_records()
    written = conformance.render(records, findings, conformance.waiting(records))
    page = conformance.PAGE.read_text(encoding="utf-8")
    assert page == written, "python experiments/papers/conformance.py"


def test_every_miss_on_the_page_is_explained(conformance):
    assert conformance.unexplained(conformance.read_records()) == []


def test_a_miss_without_a_note_is_found_and_one_with_a_note_stands_under_it(conformance):
    silent, explained = a_record("off"), a_record("off", "the data differ")
    assert conformance.unexplained([a_record(), silent, explained]) == [
        "some-paper: ease ndcg@10 is off"
    ]
    reasons = conformance.render([explained], "## Findings\n", []).split("## Findings")[0]
    assert "The data differ.\n\n| model" in reasons
    assert "| ease | ndcg@10 | a table | 0.5000 | 0.6000 | +0.1000 | 0.001 |" in reasons


def test_the_summary_counts_values_by_verdict(conformance):
    page = conformance.render([a_record(), a_record("off", "why")], "", [])
    assert "| [some-paper](#some-paper) | 6,040 | full | 1 | 1 | 1 | 0 | 1.0 |" in page
    assert "| all |  |  | 2 | 2 | 1 | 1 | 2.0 |" in page


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_names_and_values_of_every_experiment_are_valid(path):
    models, _ = check_names(load_experiment(path), path.parent)
    assert models


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_record_is_of_its_experiment_as_it_is_now(conformance, path):
    records = {record.experiment: record for record in conformance.read_records()}
    if path.stem not in records:
        assert f"- `{path.stem}`: " in conformance.PAGE.read_text(encoding="utf-8")
        pytest.skip("not run yet, as the page says")
    experiment, record = load_experiment(path), records[path.stem]
    ran = {model.model: model.params for model in record.models}
    assert ran.keys() == {model.title for model in experiment.models}
    for model in experiment.models:
        found = {"epochs"} if experiment.tune and model.tune else set()
        fixed = {k: v for k, v in model.params.items() if k not in found}
        assert fixed.items() <= ran[model.title].items()
    assert [
        (v.model, v.metric, v.expected, v.published, v.tolerance, v.note) for v in record.values
    ] == [
        (e.model, e.metric, e.value, e.published, e.tolerance, e.note) for e in experiment.expected
    ]
