"""Metric names: what is read, what is refused, and what the refusal says."""

import pytest

from recrepro.errors import UnknownName, UsageError
from recrepro.evaluation.definitions import DEFINITIONS, parse_metric


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_a_name_is_read_and_written_alike(definition, k):
    name = f"{definition.id}@{k}" if definition.cut else definition.id
    metric = parse_metric(name)
    assert (metric.definition, metric.k) == (definition, k if definition.cut else None)
    assert metric.name == name


@pytest.mark.parametrize("name", ["auc@10", "r_precision@5", "auc@"])
def test_a_metric_of_the_whole_ranking_has_no_cutoff(name):
    with pytest.raises(UsageError, match=r"without a cutoff: write it as (auc|r_precision)\."):
        parse_metric(name)


@pytest.mark.parametrize("name", ["ndcg", "ndcg@", "ndcg@ten", "ndcg@-1", "ndcg@1.5", "ndcg@010"])
def test_a_missing_or_malformed_cutoff_is_refused_with_a_way_to_write_it(name):
    with pytest.raises(UsageError, match=r"no cutoff: write it as ndcg@10"):
        parse_metric(name)


def test_a_cutoff_of_zero_is_refused():
    with pytest.raises(UsageError, match="between 1 and 1,000,000"):
        parse_metric("recall@0")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ndgc@10", "ndcg"),
        ("NDCG@10", "ndcg"),
        ("Recal@5", "recall"),
        ("MAP@5", "map"),
        ("ndcg[recsys19]@10", "ndcg[recsys2019]"),
    ],
)
def test_an_unknown_name_gets_the_nearest_valid_one_first(name, meant):
    with pytest.raises(UnknownName) as refused:
        parse_metric(name)
    cutoff = name.partition("@")[2]
    assert f"unknown metric {name!r}. Did you mean '{meant}@{cutoff}'" in str(refused.value)
    assert "Known" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("hr@10", "hit_rate@10"), ("HR@10", "hit_rate@10"), ("prec@5", "precision@5"), ("rr", "mrr")],
)
def test_a_name_from_elsewhere_is_translated(name, meant):
    with pytest.raises(UnknownName, match=f"Did you mean '{meant}'"):
        parse_metric(name)


def test_an_unlike_name_gets_the_command_that_lists_all():
    with pytest.raises(UnknownName) as refused:
        parse_metric("xyzzy@10")
    said = "unknown metric 'xyzzy@10'. List them with their formulas: recrepro ls metrics."
    assert str(refused.value) == said


def test_a_metric_without_a_cutoff_is_suggested_without_one():
    with pytest.raises(UnknownName, match="Did you mean 'auc'\\?"):
        parse_metric("AUC@10")


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
def test_every_definition_states_its_formula_and_its_function_explains_it(definition):
    assert definition.formula
    assert definition.same_in or definition.kind == "lists"
    assert len(definition.explanation) > 40
