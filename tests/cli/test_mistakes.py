"""Mistakes of new users: each message has the cause, the place and what to write instead.

Where a message proposes something literally, it is written and checked again: it has to work.
"""

import importlib.abc
import sys
from dataclasses import dataclass, field

import pytest
from support.inprocess import call_here

ROWS = [(u, i, 1 + (u + i) % 5, 1_600_000_000 + 1000 * u + i) for u in range(6) for i in range(12)]
ROWS = [row for row in ROWS if (row[0] + row[1]) % 3]
HEADER = "user,item,rating,time\n"


def lines(mark=",", n=4):
    """The log without a header line: the first n columns, with a mark between them."""
    return "".join(mark.join(map(str, row[:n])) + "\n" for row in ROWS)


LOG = HEADER + lines()


def experiment(
    *,
    top='schema = 1\nclaim = "c"\n',
    dataset='name = "mine"\nfile = "log.csv"',
    split='name = "random-holdout"',
    model='name = "ease"',
    more="",
):
    """An experiment; line 4 begins the data set, its keys begin in line 5."""
    return (
        f"{top}\n[[datasets]]\n{dataset}\n\n[[splits]]\n{split}\n\n[[models]]\n{model}\n\n{more}\n"
    )


def metrics(*names):
    return experiment(more=f"[evaluate]\nmetrics = {list(names)}".replace("'", '"'))


def tuned(search):
    return experiment(model=f'name = "ease"\n{search}', more="[tune]\ntrials = 3")


@dataclass(frozen=True)
class Mistake:
    """A wrong experiment or data file, and what its message has to say.

    `mended` are replacements in the experiment or in the data, after which it has to be right.
    """

    name: str
    cause: str
    place: str
    remedy: str
    experiment: str = experiment()
    data: str | bytes = LOG
    file: str = "e.toml"
    data_file: str = "log.csv"
    code: int = 2
    mended: tuple[tuple[str, str], ...] = ()
    others: dict[str, str] = field(default_factory=dict)


OWN = "from recrepro.model import Recommender\n\n\nclass Mine(Recommender):\n"
OWN += "    def fit(self, train, rng):\n        pass\n"

MISTAKES = [
    Mistake(
        "model",
        "unknown model 'eaze'",
        "e.toml, line 12:",
        "Did you mean 'ease' or 'edlae' or 'recvae'? List them: recrepro ls models.",
        experiment(model='name = "eaze"'),
        mended=(("eaze", "ease"),),
    ),
    Mistake(
        "metric",
        "unknown metric 'ndgc@10'",
        "e.toml, line 15:",
        "Did you mean 'ndcg@10'?",
        metrics("ndgc@10"),
        mended=(("ndgc", "ndcg"),),
    ),
    Mistake(
        "key",
        "unknown key 'parms'",
        "e.toml, line 13, models #1:",
        "Did you mean 'params'?",
        experiment(model='name = "ease"\nparms = { l2 = 1.0 }'),
        mended=(("parms", "params"),),
    ),
    Mistake(
        "data-set",
        "unknown data set 'movielens-100'",
        "e.toml, line 5:",
        "Did you mean 'movielens-100k'",
        experiment(dataset='name = "movielens-100"'),
        mended=(("movielens-100", "movielens-100k"),),
    ),
    Mistake(
        "no-cutoff",
        "the metric 'ndcg' has no cutoff",
        "e.toml, line 15:",
        "write it as ndcg@10.",
        metrics("ndcg"),
        mended=(('"ndcg"', '"ndcg@10"'),),
    ),
    Mistake(
        "missing-file",
        "lok.csv is not there",
        "e.toml, line 6:",
        "Did you mean 'log.csv'?",
        experiment(dataset='name = "mine"\nfile = "lok.csv"'),
        mended=(("lok", "log"),),
    ),
    Mistake(
        "wrong-column",
        "log.csv has no column 'userid', which columns = { user = ... } names",
        "e.toml, line 6:",
        "Did you mean 'user'?",
        experiment(dataset='name = "mine"\nfile = "log.csv"\ncolumns = { user = "userid" }'),
        mended=(("userid", "user"),),
    ),
    Mistake(
        "semicolons",
        "the format 'csv' has commas between the fields, not semicolons",
        "e.toml, line 6: log.csv, line 1:",
        'Write format = "semicolon".',
        data=LOG.replace(",", ";"),
        mended=(('"log.csv"', '"log.csv"\nformat = "semicolon"'),),
    ),
    Mistake(
        "tabs",
        "the format 'csv' has commas between the fields, not tabs",
        "e.toml, line 6: log.csv, line 1:",
        'Write format = "tsv".',
        data=LOG.replace(",", "\t"),
        mended=(('"log.csv"', '"log.csv"\nformat = "tsv"'),),
    ),
    Mistake("empty", "is empty", "log.csv", "Download or export it again", data="", code=3),
    Mistake(
        "header-only",
        "has a header line and no rows below it",
        "log.csv",
        "Export it again",
        data=HEADER,
        code=3,
        mended=((HEADER, LOG),),
    ),
    Mistake(
        "no-header",
        "log.csv has no header line, which the format 'csv' needs",
        "e.toml, line 6: log.csv has no header line, which the format 'csv' needs: line 1 is '0,1,",
        'Write format = "csv-no-header"',
        data=lines(),
        mended=(('"log.csv"', '"log.csv"\nformat = "csv-no-header"'),),
    ),
    Mistake(
        "latin-1",
        "the byte 0xe9 is not UTF-8 text",
        "log.csv, line 50:",
        "Save the file as UTF-8.",
        data=f"{LOG}7,caf\xe9,1,1\n".encode("latin-1"),
        code=3,
    ),
    Mistake(
        "day-first-dates",
        "the time '31/12/2023' is not a finite number or a date such as 2024-05-31 (1 such row)",
        "log.csv, line 2:",
        "Write dates with the year first, as in 2024-05-31",
        data="user,item,time\n1,2,31/12/2023\n",
        code=3,
    ),
    Mistake(
        "empty-rating",
        "the value is empty (1 such row)",
        "log.csv, line 50:",
        "Fill in or remove what is empty.",
        data=f"{LOG}5,13,,1\n",
        code=3,
        mended=(("5,13,,1\n", ""),),
    ),
    Mistake(
        "no-times",
        "the split 'temporal' needs the time of each interaction, and the data set 'mine' has none",
        "the data set 'mine'",
        "choose a split without times: random-holdout",
        experiment(split='name = "temporal"'),
        data="user,item\n" + lines(n=2),
        code=3,
        mended=(("temporal", "random-holdout"),),
    ),
    Mistake(
        "option-that-needs-times",
        "the model 'ease' learns from the order of interactions in time, and the data set 'mine' "
        "has no times",
        "e.toml, line 11:",
        "Take away the hyperparameters that need them, such as fading and half_life",
        experiment(model='name = "ease"\nparams = { fading = 0.9 }'),
        data="user,item\n" + lines(n=2),
        mended=(("params = { fading = 0.9 }", ""),),
    ),
    Mistake(
        "two-models",
        "two models are called 'ease'",
        "e.toml, line 14:",
        "give each its own 'label'.",
        experiment(more='[[models]]\nname = "ease"\nparams = { l2 = 1.0 }'),
        mended=(("params", 'label = "weak"\nparams'),),
    ),
    Mistake(
        "two-metrics",
        "the metric 'ndcg@5' is listed twice",
        "e.toml, line 14, evaluate:",
        "take one away.",
        metrics("ndcg@5", "ndcg@5"),
        mended=((', "ndcg@5"', ""),),
    ),
    Mistake(
        "no-features",
        "needs features of the items",
        "e.toml, line 15:",
        "ild[features]@5",
        metrics("ild[features]@5"),
        mended=(("[features]", ""),),
    ),
    Mistake(
        "no-features-of-the-data",
        "the model 'itemknncbf' needs features of items, and the data set 'mine' has no features",
        "e.toml, line 11:",
        "describe a file under [[datasets.features]].",
        experiment(model='name = "itemknncbf"'),
    ),
    Mistake(
        "unseen-users",
        "the model 'bprmf' cannot score users it was not fitted on, and the split 'unseen-users'",
        "e.toml, line 11:",
        "Leave one of them out.",
        experiment(split='name = "unseen-users"', model='name = "bprmf"'),
        mended=(("bprmf", "ease"),),
    ),
    Mistake(
        "reversed-range",
        "a search range needs low < high, but [1000.0, 10.0] was given",
        "e.toml, line 13: model 'ease', search.l2:",
        "Write [10.0, 1000.0].",
        tuned("search = { l2 = { log_uniform = [1000.0, 10.0] } }"),
        mended=(("[1000.0, 10.0]", "[10.0, 1000.0]"),),
    ),
    Mistake(
        "selection-metric",
        "tune.metric is 'mrr@5', which is not under evaluate.metrics",
        "e.toml, line 16:",
        "add it there, or choose one of them.",
        experiment(more='[tune]\ntrials = 3\nmetric = "mrr@5"'),
        mended=(("mrr@5", "ndcg@10"),),
    ),
    Mistake(
        "too-many-negatives",
        "5000 negatives were asked for, but a user has only 4 items left to draw from",
        "mine / random-holdout / seed 1: evaluate.candidates:",
        'rank all items: candidates = "full".',
        experiment(more="[evaluate]\ncandidates = 5000"),
        code=3,
        mended=(("5000", '"full"'),),
    ),
    Mistake(
        "strict-filter",
        "the filter 'k-core' leaves nothing of 'mine'",
        "e.toml, line 7:",
        "Weaken it, or take it away",
        experiment(
            dataset='name = "mine"\nfile = "log.csv"\n'
            'filters = [{ name = "k-core", users = 50, items = 50 }]'
        ),
        mended=(("users = 50, items = 50", "users = 2, items = 2"),),
    ),
    Mistake(
        "cutoff-0",
        "the cutoff of the metric 'ndcg@0' must lie between 1 and 1,000,000",
        "e.toml, line 15:",
        "write it as ndcg@10",
        metrics("ndcg@0"),
        mended=(("@0", "@10"),),
    ),
    Mistake(
        "one-user",
        "the test part of the split is empty: of 3 interactions (1 user, 3 items)",
        "mine / random-holdout / seed 1:",
        'cold_items = "keep"',
        data="user,item\n1,2\n1,3\n1,4\n",
        code=3,
        mended=(("random-holdout", 'random-holdout"\ncold_items = "keep'),),
    ),
    Mistake(
        "one-item",
        "the test part of the split is empty: of 9 interactions (9 users, 1 item)",
        "mine / random-holdout / seed 1:",
        "Use more data, another split",
        data="user,item\n" + "".join(f"{u},1\n" for u in range(9)),
        code=3,
    ),
    Mistake(
        "no-times-for-leave-one-out",
        "the split 'leave-one-out' needs the time of each interaction",
        "the data set 'mine' has none",
        'leave-one-out with pick = "random".',
        experiment(split='name = "leave-one-out"'),
        data="user,item\n" + lines(n=2),
        code=3,
        mended=(("leave-one-out", 'leave-one-out"\npick = "random'),),
    ),
    Mistake(
        "upper-case-metric",
        "unknown metric 'NDCG@10'",
        "e.toml, line 15:",
        "Did you mean 'ndcg@10'?",
        metrics("NDCG@10"),
        mended=(("NDCG", "ndcg"),),
    ),
    Mistake(
        "negative-trials",
        "it must be greater than 0, not -3.",
        "e.toml, line 15, tune.trials:",
        "For example: trials = 20",
        experiment(more="[tune]\ntrials = -3"),
        mended=(("trials = -3", "trials = 20"),),
    ),
    Mistake(
        "seeds-in-quotes",
        'it must be a whole number, not "1".',
        "e.toml, line 10, splits #1.seeds #1:",
        "Write it without quotes: 1.",
        experiment(split='name = "random-holdout"\nseeds = ["1"]'),
        mended=(('"1"', "1"),),
    ),
    Mistake(
        "percent",
        "it must be less than 1, not 20.",
        "e.toml, line 10: split 'random-holdout', fraction:",
        "A share of 20 % is fraction = 0.2.",
        experiment(split='name = "random-holdout"\nfraction = 20'),
        mended=(("fraction = 20", "fraction = 0.2"),),
    ),
    Mistake(
        "number-in-quotes",
        'it must be a number, not "4".',
        "e.toml, line 7, datasets #1.min_value:",
        "Write it without quotes: min_value = 4.",
        experiment(dataset='name = "mine"\nfile = "log.csv"\nmin_value = "4"'),
        mended=(('min_value = "4"', "min_value = 4"),),
    ),
    Mistake(
        "lambda",
        "unknown key 'lambda'",
        "e.toml, line 13: model 'ease':",
        "It is called 'l2' here.",
        experiment(model='name = "ease"\nparams = { lambda = 100.0 }'),
        mended=(("lambda", "l2"),),
    ),
    Mistake(
        "test-size",
        "unknown key 'test_size'",
        "e.toml, line 10: split 'random-holdout':",
        "It is called 'fraction' here.",
        experiment(split='name = "random-holdout"\ntest_size = 0.2'),
        mended=(("test_size", "fraction"),),
    ),
    Mistake(
        "no-schema",
        "the key 'schema' is missing.",
        "e.toml:",
        "For example: schema = 1",
        experiment(top='claim = "c"\n'),
        mended=(('claim = "c"', 'schema = 1\nclaim = "c"'),),
    ),
    Mistake(
        "no-claim",
        "the key 'claim' is missing.",
        "e.toml:",
        'For example: claim = "EASE is better than TopPopular."',
        experiment(top="schema = 1\n"),
        mended=(("schema = 1", 'schema = 1\nclaim = "EASE is better than TopPopular."'),),
    ),
    Mistake(
        "toml",
        "'name = ease' is not TOML",
        "e.toml, line 12:",
        'Put text in quotes: name = "ease".',
        experiment(model="name = ease"),
        mended=(("name = ease", 'name = "ease"'),),
    ),
    Mistake(
        "yaml",
        "e.yaml is YAML, and the experiment file has to be TOML.",
        "e.yaml",
        '[[models]]\nname = "ease"',
        "schema: 1\nclaim: c\ndatasets:\n  - name: mine\n    file: log.csv\n",
        file="e.yaml",
    ),
    Mistake(
        "one-seed",
        "it must be a list, not 42.",
        "e.toml, line 10, splits #1.seeds:",
        "Write it in brackets: seeds = [42].",
        experiment(split='name = "random-holdout"\nseeds = 42'),
        mended=(("seeds = 42", "seeds = [42]"),),
    ),
    Mistake(
        "bare-range",
        "it must be a search range, not [10, 1000].",
        "e.toml, line 13, models #1.search.l2:",
        "Write l2 = { log_uniform = [10, 1000] }",
        tuned("search = { l2 = [10, 1000] }"),
        mended=(("l2 = [10, 1000]", "l2 = { log_uniform = [10, 1000] }"),),
    ),
    Mistake(
        "class-as-name",
        'not "own:Mine".',
        "e.toml, line 12, models #1.name:",
        "Write class = \"own:Mine\" in place of 'name'.",
        experiment(model='name = "own:Mine"'),
        others={"own.py": f"{OWN}    def score(self, users, histories):\n        pass\n"},
        mended=(('name = "own:Mine"', 'class = "own.py:Mine"'),),
    ),
    Mistake(
        "path-as-name",
        'not "own.py:Mine".',
        "e.toml, line 12, models #1.name:",
        "Write class = \"own.py:Mine\" in place of 'name'.",
        experiment(model='name = "own.py:Mine"'),
        others={"own.py": f"{OWN}    def score(self, users, histories):\n        pass\n"},
        mended=(('name = "own.py:Mine"', 'class = "own.py:Mine"'),),
    ),
    Mistake(
        "abstract-method",
        "Mine has no method score",
        "e.toml, line 12: class = 'abstract.py:Mine':",
        "define it, as recrepro.model.Recommender describes.",
        experiment(model='class = "abstract.py:Mine"'),
        others={"abstract.py": OWN},
    ),
    Mistake(
        "headerless-tsv",
        "train.tsv has no header line, which the format 'tsv' needs: line 1 is '0\\t1\\t2\\t",
        "e.toml, line 6: train.tsv",
        'Write format = "ncf"',
        experiment(dataset='name = "mine"\nfile = "train.tsv"'),
        data=lines("\t"),
        data_file="train.tsv",
        mended=(('"train.tsv"', '"train.tsv"\nformat = "ncf"'),),
    ),
    Mistake(
        "headerless-pairs-with-blanks",
        "the format 'csv' has commas between the fields, not blanks.",
        "e.toml, line 6: log.csv, line 1:",
        'Write format = "ssv".',
        data=lines(" ", 2),
        mended=(('"log.csv"', '"log.csv"\nformat = "ssv"'),),
    ),
    Mistake(
        "json",
        "e.json is JSON, and the experiment file has to be TOML.",
        "e.json",
        '[[models]]\nname = "ease"',
        '{"schema": 1, "claim": "c"}',
        file="e.json",
    ),
]


@pytest.fixture
def check(tmp_path):
    """Call `recrepro check` in a folder with an experiment and its data."""

    def call(text, data=LOG, *, file="e.toml", data_file="log.csv", others=None):
        (tmp_path / data_file).write_bytes(data if isinstance(data, bytes) else data.encode())
        for name, content in {file: text, **(others or {})}.items():
            (tmp_path / name).write_text(content)
        return call_here(["check", file], tmp_path, {"COLUMNS": "200"})

    return call


def test_the_experiment_without_a_mistake_is_right(check):
    assert check(experiment()).returncode == 0


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_gets_cause_place_and_remedy(check, mistake):
    files = {
        "file": mistake.file,
        "data_file": mistake.data_file,
        "others": mistake.others,
    }
    done = check(mistake.experiment, mistake.data, **files)
    said = done.stderr
    assert done.returncode == mistake.code, said
    assert mistake.cause in said
    assert mistake.place in said
    assert mistake.remedy in said
    assert "This is a fault of recrepro" not in said
    assert len(said) < 600
    if mistake.mended:
        text, data = mistake.experiment, mistake.data
        for old, new in mistake.mended:
            assert old in text or old in data
            if old in text:
                text = text.replace(old, new)
            else:
                data = data.replace(old, new)
        again = check(text, data, **files)
        assert again.returncode == 0, again.stderr


class NoTorch(importlib.abc.MetaPathFinder):
    """An import system that does not find torch."""

    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_a_missing_package_is_named_with_the_command_that_installs_it(check, monkeypatch):
    # The package that is imported anew replaces the old one in `sys.modules` and as an attribute of
    # `recrepro`. Both must be the old one again for the tests that come later in this process.
    monkeypatch.setattr("recrepro.neural", importlib.import_module("recrepro.neural"))
    for name in [name for name in sys.modules if name.startswith("recrepro.neural")]:
        monkeypatch.delitem(sys.modules, name)
    # Not `sys.modules["torch"] = None`: scipy takes what is there for the package.
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoTorch(), *sys.meta_path])
    done = check(experiment(model='name = "neumf"'))
    assert done.returncode == 3
    assert "e.toml, line 12: the model 'neumf' needs the package 'torch'" in done.stderr
    assert "pip install 'recrepro[neural]'" in done.stderr


def test_a_cutoff_above_the_number_of_items_is_noted_with_that_number(check):
    done = check(metrics("ndcg@100000"))
    assert done.returncode == 0
    assert "note: e.toml, line 15: ndcg@100000: the cutoff is larger than the number" in done.stdout
    assert "items of 'mine', 12, so that each list ends before it" in done.stdout
    assert "Write a smaller one, such as ndcg@10." in done.stdout
    assert "note:" not in check(metrics("ndcg@12")).stdout


@pytest.mark.parametrize(
    "data",
    [
        LOG.replace("\n", "\r\n"),
        f"\ufeff{LOG}",
        LOG.replace("\n5,", "\nJosé da Silva,"),
        HEADER
        + "".join(f"{u},{i},{r},2020-09-{1 + (12 * u + i) % 28:02}\n" for u, i, r, _ in ROWS),
    ],
    ids=["crlf", "bom", "blanks-and-accents", "iso-dates"],
)
def test_what_is_no_mistake_is_read_without_a_note(check, data):
    done = check(experiment(split='name = "temporal"'), data)
    assert done.returncode == 0, done.stderr
    assert "note:" not in done.stdout


@pytest.mark.parametrize(
    ("factor", "unit"),
    [(10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")],
)
def test_times_in_another_unit_than_seconds_are_noted(check, factor, unit):
    data = HEADER + "".join(f"{u},{i},{r},{t * factor}\n" for u, i, r, t in ROWS)
    done = check(experiment(split='name = "temporal"'), data)
    assert done.returncode == 0, done.stderr
    assert f"note: e.toml, line 4: the times of 'mine' look like {unit}" in done.stdout


def test_what_cannot_be_run_is_not_counted_as_to_be_run(check):
    two = '[[models]]\nname = "toppopular"\n\n[tune]\ntrials = 3\n\n[evaluate]\ncandidates = 5000'
    done = check(experiment(more=two))
    assert done.returncode == 3
    assert "2 cells, 2 that cannot be run." in done.stdout
    assert "to run with" not in done.stdout
    assert "trials" not in done.stdout.partition("2 cells")[2]


@pytest.mark.parametrize(
    ("model", "theirs", "ours"),
    [
        ("itemknn", "topK", "n_neighbors"),
        ("itemknn", "k", "n_neighbors"),
        ("itemknn", "neighbors", "n_neighbors"),
        ("itemknn", "shrink", "shrinkage"),
        ("ease", "reg", "l2"),
        ("ease", "reg_weight", "l2"),
        ("bprmf", "lr", "learning_rate"),
        ("bprmf", "factors", "n_factors"),
        ("bprmf", "embedding_size", "n_factors"),
        ("bprmf", "n_epochs", "epochs"),
    ],
)
def test_names_of_other_libraries_are_understood(check, model, theirs, ours):
    done = check(experiment(model=f'name = "{model}"\nparams = {{ {theirs} = 1 }}'))
    assert done.returncode == 2
    assert f"unknown key '{theirs}'. It is called '{ours}' here." in done.stderr
