"""The experiment file: what loads, what is refused and where, and what its hash covers."""

import json
from pathlib import Path

import pytest

from recrepro.errors import UnknownName, UsageError
from recrepro.spec.canonical import canonical_json
from recrepro.spec.experiment import Experiment, TuneSpec, load_experiment

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FILES = sorted(set(EXPERIMENTS.rglob("*.toml")) - {EXPERIMENTS / "study.toml"})

BASE = """
schema = 1
claim = "a claim"
[[datasets]]
name = "made"
file = "log.csv"
columns = { user = "u" }
[[datasets]]
name = "drawn"
synthetic = { users = 9, items = 9, interactions = 30, seed = 1 }
[[splits]]
name = "random-holdout"
fraction = 0.1
seeds = [1, 2]
[[models]]
name = "ease"
params = { l2 = 5.0 }
search.alpha = { uniform = [0.0, 1.0] }
[evaluate]
metrics = ["ndcg@10"]
[tune]
trials = 3
[[expected]]
model = "ease"
metric = "ndcg@10"
value = 0.5
tolerance = 0.01
source = "a paper"
"""


@pytest.fixture
def read(tmp_path):
    """Read an experiment file after one replacement in it."""

    def load(old: str = "", new: str = "") -> Experiment:
        assert old in BASE
        path = tmp_path / "mine.toml"
        path.write_text(BASE.replace(old, new, 1) if old else BASE)
        return load_experiment(path)

    return load


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(EXPERIMENTS)))
def test_every_experiment_of_the_repository_loads(path):
    assert load_experiment(path).claim


def test_there_are_experiments():
    assert FILES


def test_a_file_is_read_as_written(read):
    made = read()
    assert made.splits[0].options == {"fraction": 0.1}
    assert made.splits[0].seeds == (1, 2)
    assert made.models[0].params == {"l2": 5.0}
    assert made.selection_metric == "ndcg@10"


UNKNOWN_KEYS = [
    ("claim =", 'clam = ""\nclaim =', "mine.toml, line 3: ", "clam", "claim"),
    ("columns =", 'fil = "x"\ncolumns =', "datasets #1: ", "fil", "file"),
    ("seed = 1", "sede = 1", "datasets #2.synthetic: ", "sede", "seed"),
    ("params =", "serch = 1\nparams =", "models #1: ", "serch", "search"),
    ("{ uniform", "{ unifrom", "models #1.search.alpha: ", "unifrom", "uniform"),
    ("metrics =", "candidate = 1\nmetrics =", "evaluate: ", "candidate", "candidates"),
    ("trials =", "patients = 1\ntrials =", "tune: ", "patients", "patience"),
    ("source =", "sorce = 1\nsource =", "expected #1: ", "sorce", "source"),
]


@pytest.mark.parametrize(
    ("old", "new", "place", "given", "meant"), UNKNOWN_KEYS, ids=[k[2] for k in UNKNOWN_KEYS]
)
def test_an_unknown_key_is_named_with_its_place_and_the_nearest_valid_one(
    read, old, new, place, given, meant
):
    with pytest.raises(UsageError) as refused:
        read(old, new)
    assert f"{place}unknown key {given!r}. Did you mean {meant!r}" in str(refused.value)
    assert "at least 1 item" not in str(refused.value)


def test_an_unknown_column_gets_the_valid_ones(read):
    with pytest.raises(
        UsageError, match=r"columns\.usr: .*'user', 'item', 'value' or 'time', not \"usr\""
    ):
        read("{ user =", "{ usr =")


REFUSED = [
    ("schema = 1", "schema = 2", "schema: it must be 1, not 2. For example: schema = 1"),
    ("trials = 3", "", "tune: give 'trials', 'seconds' or both"),
    ("trials = 3", "seconds = 0", r"tune\.seconds: .*greater than 0"),
    ("trials = 3", "seconds = inf", r"tune\.seconds: .*finite"),
    ("trials = 3", 'trials = 3\nsampler = "pso"', r"tune\.sampler: .*'tpe', 'random' or 'gp'"),
    ("trials = 3", 'trials = 3\npruner = "none"', r"tune\.pruner: .*'median'"),
    (
        "trials = 3",
        'trials = 3\nstartup = 2\nsampler = "random"',
        "tune: 'startup' goes with the samplers 'tpe' and 'gp'",
    ),
    ("trials = 3", "trials = 0", r"tune\.trials: .*greater than 0"),
    (
        "trials = 3",
        'trials = "3"',
        r"tune\.trials: it must be a whole number, not \"3\"\. Write it without quotes: trials = 3",
    ),
    ("[0.0, 1.0]", "[0.0]", r"models #1\.search\.alpha\.uniform: value #2 is missing"),
    ("[0.0, 1.0]", "[0, 1], integers = [1, 2]", r"exactly one of uniform, log_uniform"),
    ("l2 = 5.0", "l2 = inf", r"models #1\.params\.l2: .*finite"),
    ("[1, 2]", "[-1]", r"splits #1\.seeds #1: .*at least 0, not -1"),
    ("[1, 2]", "[]", r"splits #1\.seeds: .*a list of 1 or more"),
    ("[1, 2]", "[1, 1]", r"splits #1: the seed 1 is listed twice"),
    ('["ndcg@10"]', "[]", r"evaluate\.metrics: .*a list of 1 or more"),
    ('["ndcg@10"]', '["mrr@1", "mrr@1"]', "evaluate: the metric 'mrr@1' is listed twice"),
    ('"ease"', '"EASE!"', r"models #1\.name: .*lower-case.*name = \"ease\""),
    ("synthetic =", 'file = "x"\nsynthetic =', "datasets #2: give one of"),
    ("columns =", 'test = "x"\ncolumns =', "'train' and 'test' go together"),
    ("columns =", 'negatives = "x"\ncolumns =', "'negatives' needs 'train' and 'test'"),
    ("claim =", "claim = 1979-05-27 #", "date or a time of day"),
    ("claim =", "claim = = ", "not a valid experiment file"),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), REFUSED, ids=[f"{r[0]} {r[1]}" for r in REFUSED]
)
def test_what_cannot_be_meant_is_refused_with_file_and_place(read, old, new, message):
    with pytest.raises(UsageError, match=rf"mine\.toml.*{message}"):
        read(old, new)


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ('[[models]]\nname = "ease"', "models"),
        ('[[splits]]\nname = "random-holdout"', "splits"),
    ],
)
def test_twice_the_same_needs_a_label(read, table, kind):
    name = table.split('"')[1]
    with pytest.raises(UsageError, match=f"two {kind} are called '{name}': .*'label'"):
        read("[evaluate]", f"{table}\n[evaluate]")
    made = read("[evaluate]", f'{table}\nlabel = "other"\n[evaluate]')
    assert [spec.title for spec in getattr(made, kind)] == [name, "other"]


def test_a_file_that_is_not_there_gets_the_nearest_that_is(read, tmp_path):
    read()
    with pytest.raises(UnknownName, match=r"Known: mine\.toml"):
        load_experiment(tmp_path / "mnie.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"cannot read the experiment file .*binary\.toml"):
        load_experiment(path)


def change(content, path, value):
    """Return a copy of nested content with one value replaced."""
    copy = json.loads(json.dumps(content))
    *parents, last = path
    target = copy
    for step in parents:
        target = target[step]
    target[last] = value
    return copy


MATTERS = [
    (("datasets", 0, "name"), "other"),
    (("datasets", 1, "synthetic", "seed"), 2),
    (("splits", 0, "fraction"), 0.2),
    (("splits", 0, "seeds"), [1]),
    (("models", 0, "params", "l2"), 6.0),
    (("models", 0, "search", "alpha", "uniform"), [0.0, 2.0]),
    (("evaluate", "metrics"), ["ndcg@5"]),
    (("tune", "trials"), 4),
    (("tune", "patience"), 9),
    (("tune", "seconds"), 60),
    (("tune", "startup"), 2),
    (("tune", "sampler"), "gp"),
    (("tune", "pruner"), "median"),
]


@pytest.mark.parametrize(
    ("path", "value"), MATTERS, ids=[".".join(map(str, m[0])) for m in MATTERS]
)
def test_the_grid_hash_changes_with_what_decides_the_numbers(read, path, value):
    content = read().model_dump(mode="json", by_alias=True, exclude_unset=True)
    changed = Experiment.model_validate_json(json.dumps(change(content, path, value)))
    assert changed.grid_hash != read().grid_hash


def test_the_grid_hash_ignores_claim_expected_layout_and_the_order_of_keys(read):
    base = read().grid_hash
    assert read("a claim", "another").grid_hash == base
    assert read("value = 0.5", "value = 0.6").grid_hash == base
    assert read("[evaluate]", "# a comment\n\n[evaluate]").grid_hash == base
    assert (
        read('name = "ease"\nparams = { l2 = 5.0 }', 'params.l2 = 5.0\nname = "ease"').grid_hash
        == base
    )


def test_what_was_tuned_before_there_were_more_options_keeps_its_identity(read):
    """Written down when the budget had these five keys: keys of cells are made of it."""
    before = {
        "trials": 3,
        "metric": None,
        "sampler": "tpe",
        "evaluate_every": 5,
        "patience": 5,
    }
    assert read().tune.model_dump(mode="json") == before
    assert read().grid_hash.startswith("86bd877a7db31ba7")


def test_a_budget_survives_being_written(read):
    new = 'seconds = 60\nsampler = "gp"\nstartup = 15\npruner = "median"'
    tune = read("trials = 3", new).tune
    assert TuneSpec.model_validate_json(canonical_json(tune.model_dump(mode="json"))) == tune


def test_canonical_json_is_one_text_for_one_value():
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    with pytest.raises(ValueError):
        canonical_json(float("nan"))
