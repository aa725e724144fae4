"""Tables from records: order, spread over seeds, notes, expected against got."""

import csv
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console
from support.results import make_identity, make_record, merged, result_of, unfinished

from recrepro.analysis import leaderboard as tables
from recrepro.analysis.leaderboard import best_values, build
from recrepro.spec.experiment import Expected, Experiment
from recrepro.store.openings import Opening
from recrepro.tables import cells
from recrepro.tables.cells import group_cells
from recrepro.tables.formats import FORMATS
from recrepro.tables.terminal import show_leaderboard

EXPERIMENT = {
    "schema": 1,
    "claim": "c",
    "datasets": [{"name": "toy"}],
    "splits": [{"name": "temporal"}],
    "models": [{"name": "a"}, {"name": "b"}, {"name": "lost"}],
    "evaluate": {"metrics": ["recall@5", "ndcg@10"]},
    "tune": {"trials": 2, "metric": "ndcg@10"},
    "expected": [
        {
            "model": "a",
            "metric": "ndcg@10",
            "value": 0.35,
            "published": 0.36,
            "tolerance": 0.0001,
            "source": "a paper",
            "note": "why",
        },
        {"model": "b", "metric": "recall@5", "value": 0.5, "tolerance": 0.1, "source": "other"},
        {"model": "lost", "metric": "recall@5", "value": 0.5, "tolerance": 0.1, "source": "x"},
    ],
}


def done(model, ndcg, recall, *, seed=1, edge=(), openings=(), alarmed=False, **more):
    """Make a result without values of users; `more` as in `make_record`."""
    fields = {
        "metrics": {"ndcg@10": ndcg, "recall@5": recall},
        "tuning": {"at_edge": list(edge)},
        "groups": {
            "activity": [
                {"activity": [1, 7], "users": 600, "means": {"ndcg@10": ndcg / 2}},
                {"activity": [8, 8], "users": 634, "means": {"ndcg@10": ndcg}},
            ],
            "popularity": [
                {"group": "head", "items": 5, "held_out": 1400, "recall": {"@10": recall}}
            ],
        },
        "sampled": True,
        "split": {
            "dropped": {"test_cold_users": 1500, "test_cold_items": 3, "validation_cold_users": 9},
            "parts": {"test": {"interactions": 497}},
        },
    }
    changes = merged(fields, more.pop("changes", {}))
    named = {"split": "temporal", "users": 1234, "seed": seed, "changes": changes}
    record = make_record(model, **named, **more)
    return result_of(record, openings=openings, alarmed=alarmed)


@pytest.fixture
def experiment():
    return Experiment.model_validate_json(json.dumps(EXPERIMENT))


@pytest.fixture
def built(experiment):
    found = [
        done("a", 0.3, 0.2, edge=["l2"]),
        done("a", 0.4, 0.2, seed=2),
        done("b", 0.5, 0.1),
        unfinished("b", "failed", "no memory", split="temporal", seed=2),
        *(unfinished("lost", split="temporal", seed=seed) for seed in (1, 2)),
    ]
    return tables.build(experiment, found)


def test_rows_are_ordered_by_the_selection_metric_and_those_without_result_come_last(built):
    (board,), _ = built
    assert board.metrics == ("ndcg@10", "recall@5")
    assert [row.model for row in board.rows] == ["b", "a", "lost"]
    assert [row.status for row in board.rows] == ["untuned", "untuned", "not run"]


def test_seeds_are_averaged_with_their_standard_deviation(built):
    (board,), _ = built
    row = board.rows[1]
    assert row.means["ndcg@10"] == pytest.approx(0.35)
    assert row.spreads["ndcg@10"] == pytest.approx(0.0707106781)
    assert cells.number(row, "ndcg@10") == "0.3500 ± 0.0707"


def test_what_a_reader_must_know_is_noted(built):
    (board,), _ = built
    assert board.rows[1].notes == ("best l2 at the edge of its range",)
    assert board.rows[0].notes == ("1 of 2 repeats failed: no memory",)
    assert cells.heading(board) == "toy · temporal (sampled ranking, 1,234 users)"


def test_a_determinism_alarm_is_noted():
    found = [done("a", 0.3, 0.2, alarmed=True), done("a", 0.4, 0.2, seed=2)]
    row = tables._row("a", ("ndcg@10",), found, None)
    assert "determinism alarm" in row.notes[0]


def openings(*reasons):
    return tuple(Opening(float(at), reason) for at, reason in enumerate(reasons))


def test_a_test_part_that_was_opened_on_request_is_marked_in_every_table(experiment):
    again = done("a", 0.3, 0.2, openings=openings("first", "reopened", "reopened"))
    boards, verdicts = tables.build(experiment, [again])
    note = "test part opened again on request, 2 times"
    assert boards[0].rows[0].notes == (note,)
    assert FORMATS["md"].write(boards, verdicts, []).count(note) == 2  # with the expected value too
    assert {
        r["reopened"]
        for r in csv.DictReader(io.StringIO(FORMATS["csv"].write(boards, verdicts, [])))
    } == {"2"}
    content = json.loads(FORMATS["json"].write(boards, verdicts, []))
    assert content["leaderboards"][0]["rows"][0]["reopened"] == 2
    assert content["expected"][0]["reopened"] == 2
    screen = io.StringIO()
    show_leaderboard(Console(file=screen, width=160), boards, verdicts)
    assert screen.getvalue().count(note) == 2


def test_an_opening_after_an_interruption_changes_no_table():
    resumed = done("a", 0.3, 0.2, openings=openings("first", "resumed", "refused"))
    plain = done("a", 0.3, 0.2)
    one, other = (tables._row("a", ("ndcg@10",), [found], None) for found in (resumed, plain))
    assert one == other


def test_what_is_not_tested_because_it_is_cold_is_noted(built):
    (board,), _ = built
    (note,) = board.notes
    assert note.startswith("1,503 of 2,000 held-out interactions are not tested: 1,500 of users")


@pytest.mark.parametrize(("version", "noted"), [(1, True), (2, False)])
def test_negatives_that_knew_the_test_part_are_noted(version, noted):
    changes = {"split": {"candidates": 5, "sampling": "popularity", "version": version}}
    identity = make_identity("a", changes=changes)
    metrics = {"metrics": {"ndcg@10": 0.3, "recall@5": 0.2}}
    record = make_record("a", identity=identity, changes=metrics)
    (board,), _ = build(Experiment.model_validate_json(json.dumps(EXPERIMENT)), [result_of(record)])
    assert any("popularity in train and test" in note for note in board.notes) == noted


def test_expected_values_get_a_verdict(built):
    _, verdicts = built
    assert [v.verdict for v in verdicts] == ["ok", "off", "missing"]
    row = cells.verdict_cells(verdicts[0])
    assert (row["published"], row["expected"], row["got"]) == ("0.3600", "0.3500", "0.3500")


@pytest.mark.parametrize(("got", "verdict"), [(0.7194, "ok"), (0.71945, "off"), (None, "missing")])
def test_a_difference_of_just_the_tolerance_is_within_it(got, verdict):
    expected = Expected(model="a", metric="m", value=0.7192, tolerance=0.0002, source="s")
    assert tables.ExpectationCheck(expected, "d", "s", got).verdict == verdict


def test_values_of_groups_are_those_of_the_first_metric_and_its_cutoff(built):
    (board,), _ = built
    columns, rows = group_cells(board, "activity")
    assert columns == ["1-7, 600 users", "8, 634 users"]
    assert rows["b"] == ["0.2500", "0.5000"]
    assert group_cells(board, "popularity") == (
        ["head, 1,400 held out"],
        {"b": ["0.1000"], "a": ["0.2000"]},
    )


def board_of(metric, **record):
    content = {**EXPERIMENT, "evaluate": {"metrics": [metric]}, "tune": None, "expected": []}
    experiment = Experiment.model_validate_json(json.dumps(content))
    changes = merged({"metrics": {metric: 0.5}}, record)
    (board,), _ = build(experiment, [done("a", 0.5, 0.1, changes=changes)])
    return board


def test_items_by_popularity_are_shown_at_the_first_cutoff_there_is():
    board = board_of("auc")
    assert group_cells(board, "popularity")[1] == {"a": ["-"]}
    board = replace(board, metrics=("auc", "recall@10"))
    assert group_cells(board, "popularity")[1] == {"a": ["0.1000"]}


def test_no_value_is_best_where_more_is_not_better():
    assert best_values(board_of("ndcg@10")) == {"ndcg@10": 0.5}
    assert best_values(board_of("gini@10")) == {}


@pytest.mark.parametrize(
    ("metric", "users", "sampled", "told"),
    [
        ("ndcg@10", 497, True, True),
        ("ndcg@10", 497, False, False),
        ("ndcg@10", 400, True, False),
        ("ndcg[bv]@10", 497, True, False),
    ],
)
def test_estimates_of_full_ranking_are_offered_where_they_can_be_had(metric, users, sampled, told):
    board = board_of(metric, users=users, sampled=sampled)
    assert any("add ndcg[cls]@10" in note for note in board.notes) == told


def test_results_of_different_protocols_are_in_different_tables(experiment):
    changes = {"split": {"options": {"k": 2}}, "harness": 9}
    other = make_identity("b", split="temporal", changes=changes)
    lost = unfinished("lost", "failed", "why", split="temporal")
    found = [
        done("b", 0.5, 0.1, identity=other),
        done("a", 0.3, 0.2),
        done("a", 0.4, 0.2, seed=2),
        lost,
    ]
    boards, _ = tables.build(experiment, found)
    assert [[row.model for row in board.rows] for board in boards] == [["a", "lost"], ["b"]]
    assert boards[0].protocol != boards[1].protocol
    assert boards[1].notes[0].endswith("from which it differs in split.options.k, harness")


TUNING = {"trials": 35, "sampler": "tpe", "metric": "ndcg@10", "patience": 5}


def tuned(model, tuning, trials=35, *, seed=1, status="tuned"):
    names = {"split": "temporal", "seed": seed}
    rules = tuning and {k: v for k, v in tuning.items() if k not in ("trials", "seconds")}
    fit = {key: (tuning or {}).get(key) for key in ("trials", "seconds")}
    identity = make_identity(model, **names, changes={"tuning": rules, "fit": fit})
    changes = {"tuning": {"trials": trials}}
    more = {"seed": seed, "status": status, "identity": identity, "changes": changes}
    return done(model, 0.3, 0.2, edge=["l2"], **more)


@pytest.mark.parametrize(
    ("budget", "trials", "told"),
    [
        ({}, (35, 35), "Tuned with 35 trials each (TPE), on validation ndcg@10"),
        ({"trials": 1}, (1, 1), "Tuned with 1 trial each (TPE), on validation ndcg@10"),
        (
            {"seconds": 1600.0},
            (20, 35),
            (
                "Tuned with 35 trials or 1,600 s each (TPE), on validation ndcg@10: 20 to 35 "
                "trials made"
            ),
        ),
        (
            {"trials": None, "seconds": 0.5, "sampler": "random"},
            (8, 8),
            "Tuned with 0.5 s each (random search), on validation ndcg@10: 8 trials made",
        ),
        (
            {"sampler": "gp", "startup": 15, "pruner": "median"},
            (35, 35),
            (
                "Tuned with 35 trials each (Gaussian process, the first 15 at random, median "
                "pruning), on validation ndcg@10"
            ),
        ),
    ],
)
def test_the_budget_is_said_once_below_the_table_in_every_format(experiment, budget, trials, told):
    tuning = {k: v for k, v in (TUNING | budget).items() if v is not None}
    first, second = (tuned(model, tuning, made) for model, made in zip("ab", trials, strict=True))
    plain = tuned("lost", tuning, 1, status="parameter-free")
    boards, verdicts = tables.build(experiment, [first, second, plain])
    assert boards[0].notes[0] == told
    for ending in ("md", "tex", "html", "json"):
        assert FORMATS[ending].write(boards, [], []).count("Tuned with") == 1
    screen = io.StringIO()
    show_leaderboard(Console(file=screen, width=160), boards, verdicts)
    assert screen.getvalue().count("Tuned with") == 1
    rows = {
        r["model"]: r for r in csv.DictReader(io.StringIO(FORMATS["csv"].write(boards, [], [])))
    }
    assert [rows[m]["trials"] for m in ("a", "b", "lost")] == [*map(str, trials), "1"]
    content = json.loads(FORMATS["json"].write(boards, [], []))["leaderboards"][0]["rows"]
    assert sorted(row["trials"][0] for row in content) == sorted([*trials, 1])


def test_budgets_that_differ_are_said_with_the_models_that_had_them(experiment):
    small = tuned("b", {**TUNING, "trials": 5}, 5)
    boards, _ = tables.build(experiment, [tuned("a", TUNING), small])
    assert boards[0].notes[:2] == (
        "Tuned with 35 trials each (TPE), on validation ndcg@10 (a)",
        "Tuned with 5 trials each (TPE), on validation ndcg@10 (b)",
    )


def test_nothing_is_said_of_a_budget_where_nothing_was_tuned(experiment, built):
    boards, _ = tables.build(experiment, [tuned("a", None, 0, status="fixed")])
    assert not any("Tuned" in note for note in (*boards[0].notes, *built[0][0].notes))


@pytest.mark.parametrize("status", ["untuned", "fixed", "external"])
def test_what_was_not_tuned_and_what_lies_at_an_edge_is_marked_in_every_format(experiment, status):
    bare = result_of(
        make_record(
            "a",
            split="temporal",
            status=status,
            validation=None,
            changes={"metrics": {"ndcg@10": 0.5, "recall@5": 0.5}},
        )
    )
    boards, _ = tables.build(experiment, [bare, tuned("b", TUNING)])
    screen = io.StringIO()
    show_leaderboard(Console(file=screen, width=160), boards, [])
    written = [FORMATS[ending].write(boards, [], []) for ending in FORMATS]
    for text in (*written, screen.getvalue()):
        assert status in text
        assert "best l2 at the edge of its range" in text
