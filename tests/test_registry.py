"""The registry: names to classes, late imports, and what its refusals say."""

import sys
from importlib.metadata import EntryPoint

import pytest

from recrepro import registry
from recrepro.errors import RecreproError, UnknownName
from recrepro.registry import Registry

TABLE = {"ease": "collections:OrderedDict", "itemknn": "absent_module:ItemKNN"}


def announce(monkeypatch, **tables):
    """Let packages announce tables: each entry point loads one of them."""
    points = []
    for name, table in tables.items():
        module = type(sys)(f"plugin_{name}")
        module.MODELS = table
        monkeypatch.setitem(sys.modules, module.__name__, module)
        points.append(EntryPoint(name, f"{module.__name__}:MODELS", "g"))
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "g" else [])


def test_a_name_is_resolved_to_what_its_target_says():
    from collections import OrderedDict

    assert Registry("model", TABLE).resolve("ease") is OrderedDict


def test_nothing_is_imported_before_it_is_resolved():
    models = Registry("model", TABLE)
    assert models.names() == ["ease", "itemknn"]
    assert models.resolve_target("itemknn") == "absent_module:ItemKNN"
    assert models.origin("itemknn") == "recrepro"


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(RecreproError, match=r"'itemknn' needs .*'absent_module'.*pip install"):
        Registry("model", TABLE).resolve("itemknn")


def test_a_missing_torch_is_an_extra_of_ours(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RecreproError, match=r"pip install 'recrepro\[neural\]'"):
        Registry("model", {"mf": "torch:nn"}).resolve("mf")


@pytest.mark.parametrize(("typed", "meant"), [("itemkn", "itemknn"), ("EASE", "ease")])
def test_an_unknown_name_gets_the_nearest_one_all_names_and_the_next_step(typed, meant):
    with pytest.raises(UnknownName) as refused:
        Registry("model", TABLE, hint="List them.").resolve(typed)
    assert str(refused.value) == (
        f"unknown model {typed!r}. Did you mean {meant!r}? List them. Known: ease, itemknn."
    )


@pytest.mark.parametrize(
    ("n", "hint", "listed", "end"),
    [
        (12, "List them.", 12, "List them. Known: m00, m01, m02, m03, m04, m05, m06, m07, m08, "),
        (13, "List them.", 0, "List them."),
        (13, "", 8, " and 5 more."),
    ],
)
def test_a_long_list_of_names_is_left_to_the_command_that_prints_it(n, hint, listed, end):
    said = str(UnknownName("model", "m0", [f"m{at:02}" for at in range(n)], hint))
    assert said.startswith("unknown model 'm0'. Did you mean 'm")
    assert end in said
    known = said.partition("Known: ")[2]
    assert known.count("m") - known.count("more") == listed


def test_where_nothing_is_installed_the_error_says_so(monkeypatch):
    announce(monkeypatch)
    with pytest.raises(UnknownName, match="No model is installed at all"):
        Registry("model", group="g").resolve("ease")


def test_other_packages_add_their_names(monkeypatch):
    announce(monkeypatch, theirs={"mf": "collections:Counter"}, ours={"ease": "a:b"})
    models = Registry("model", group="g")
    assert models.names() == ["ease", "mf"]
    assert "plugin_theirs:MODELS" in models.origin("mf")


def test_two_packages_with_one_name_are_both_named(monkeypatch):
    announce(monkeypatch, one={"mf": "a:b"}, two={"mf": "c:d"})
    models = Registry("model", group="g")
    for _ in range(2):  # the second call must not quietly work with half of the names
        with pytest.raises(RecreproError, match=r"model 'mf': .*plugin_one.* and .*plugin_two"):
            models.names()


def test_a_target_that_does_not_exist_names_its_table():
    with pytest.raises(RecreproError, match="collections:Nothing, which does not exist"):
        Registry("model", {"x": "collections:Nothing"}).resolve("x")


def test_a_broken_table_is_told_of_and_does_not_stop_the_others(monkeypatch):
    announce(monkeypatch, good={"mf": "collections:Counter"})
    good = registry.entry_points("g")
    broken = EntryPoint("bad", "plugin_good:NOTHING", "g")
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken, *good] if group else [])
    models = Registry("model", group="g")
    assert models.names() == ["mf"]
    assert "plugin_good:NOTHING" in models.faults()[0]
    with pytest.raises(UnknownName, match="plugin_good:NOTHING"):
        models.resolve("knn")


def test_what_is_resolved_is_looked_over():
    models = Registry("model", TABLE, fault=lambda thing: f"is {thing.__name__}")
    with pytest.raises(RecreproError, match="collections:OrderedDict, which is OrderedDict"):
        models.resolve("ease")
