"""Records: what is written is read again to the letter, and nothing else is taken for a record."""

import json
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.results import make_record, merged

from recrepro.errors import DataError
from recrepro.store.records import Record, Trial

VALUES = st.floats(allow_nan=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | VALUES | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.text(), PLAIN, max_size=3)
CURVES = st.lists(
    st.fixed_dictionaries({"epoch": st.integers(1, 9), "ndcg@10": VALUES}), max_size=3
)
TRIALS = st.builds(
    Trial,
    number=st.integers(0, 99),
    params=OBJECTS,
    state=st.sampled_from(["complete", "pruned", "failed"]),
    value=st.none() | VALUES,
    metrics=st.dictionaries(st.text(), VALUES, max_size=2),
    epochs=st.none() | st.integers(1, 9),
    reason=st.text(),
    seconds=VALUES,
    curve=CURVES,
    stopped=st.none() | st.integers(1, 9),
)
BEST = st.builds(replace, TRIALS, state=st.just("complete"), value=VALUES)
OPTIONAL = st.fixed_dictionaries(
    {},
    optional={
        "experiment": OBJECTS,
        "base": st.text(),
        "curve": CURVES,
        "openings": st.lists(st.fixed_dictionaries({"at": VALUES, "reason": st.just("first")})),
        "energy_joules": st.none() | VALUES,
        "weights": st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
        "hindsight": st.none()
        | st.fixed_dictionaries(
            {
                "metric": st.text(),
                "epoch": st.integers(1, 9),
                "value": st.none() | VALUES,
                "best_epoch": st.none() | st.integers(1, 9),
                "best_value": st.none() | VALUES,
                "epochs": st.none() | st.integers(1, 9),
                "gain": st.none() | VALUES,
                "curve": CURVES,
                "reason": st.text(),
            }
        ),
    },
)


@st.composite
def contents(draw):
    """JSON of a record, with or without each of the keys that not every record has."""
    external = draw(st.booleans())
    record = make_record(status="external" if external else "tuned")
    required = Record.model_json_schema()["required"]
    whole = {key: value for key, value in record.to_json().items() if key in required}
    changes = {
        "model": {"params": draw(OBJECTS)},
        "metrics": draw(st.dictionaries(st.text(), VALUES, max_size=3)),
        "split": {"dropped": draw(st.dictionaries(st.text(), st.integers(0), max_size=2))},
        "titles": draw(st.sampled_from([{}, {"fold": 2}])),
    }
    if not external:
        changes["tuning"] = {"best": draw(BEST).to_json()}
    return merged(whole, changes | draw(OPTIONAL))


def text(content):
    return json.dumps(content, sort_keys=True)


@given(contents())
def test_what_is_written_is_read_again_and_numbers_keep_their_kind(content):
    record = Record.read(json.dumps(content), "it")
    assert text(record.to_json()) == text(content)
    assert Record.read(record.dumps(), "it") == Record.read(record.dumps(indent=1), "it") == record
    assert record.identity.key == record.cell


@given(TRIALS)
def test_a_trial_is_read_again(trial):
    assert Trial(**json.loads(json.dumps(trial.to_json()))) == trial


def test_a_number_that_is_none_can_be_recorded():
    content = make_record(changes={"metrics": {"ndcg@10": float("nan")}}).dumps()
    assert '"ndcg@10": NaN' in content
    assert Record.read(content, "it").dumps() == content


WHOLE = make_record().to_json()
REQUIRED = [
    *((key,) for key in Record.model_json_schema()["required"]),
    *(("identity", part) for part in ("data", "harness", "metrics", "ranking", "split")),
    ("identity", "split", "seed"),
    ("titles", "dataset"),
    ("model", "family"),
    ("tuning", "best"),
    ("split", "audit", "verdict"),
    ("provenance", "code", "commit"),
]
"""Keys without which there is no record."""


def inner(content, path):
    """Return the object that the last key of a path stands in."""
    for key in path[:-1]:
        content = content[key]
    return content


@pytest.mark.parametrize("path", REQUIRED, ids=".".join)
def test_a_record_that_lacks_a_key_is_refused_and_the_key_named(path):
    content = deepcopy(WHOLE)
    del inner(content, path)[path[-1]]
    place = f", {'.'.join(path[:-1])}" if path[1:] else ""
    with pytest.raises(DataError) as error:
        Record.read(json.dumps(content), "the file r.json")
    assert str(error.value) == (
        f"the file r.json is no record of recrepro{place}: the key {path[-1]!r} is missing."
    )


@pytest.mark.parametrize("path", [path for path in REQUIRED if path != ("schema",)], ids=".".join)
def test_a_record_with_a_key_that_nobody_knows_is_refused(path):
    content = deepcopy(WHOLE)
    inner(content, path)[f"{path[-1]}s"] = 1
    with pytest.raises(DataError, match=f"unknown key '{path[-1]}s'. Did you mean '{path[-1]}'"):
        Record.read(json.dumps(content), "it")


@pytest.mark.parametrize("schema", [1, 4, "2", None])
def test_a_record_of_another_schema_is_refused(schema):
    content = json.dumps({**WHOLE, "schema": schema})
    with pytest.raises(DataError) as error:
        Record.read(content, "the file r.json")
    assert str(error.value) == (
        f"the file r.json is no record of recrepro, schema: Input should be 2 or 3, but got "
        f"{schema!r}."
    )


@given(PLAIN.map(json.dumps) | st.text() | st.binary())
def test_anything_else_is_refused_in_one_line(content):
    with pytest.raises(DataError, match=r"^it is no record") as error:
        Record.read(content, "it")
    assert "\n" not in str(error.value)


def test_json_that_is_nested_too_deeply_is_refused():
    with pytest.raises(DataError, match="it is no record"):
        Record.read("[" * 100_000, "it")
