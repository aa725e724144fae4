"""Hostile models and a hostile tuner reach for the test part in a real run, each way they can."""

import json

import numpy as np
import pytest
from support.places import toy_experiment

from recrepro.run.materials import Materials, draw
from recrepro.run.plan import make_plan
from recrepro.spec.experiment import load_experiment
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

pytestmark = pytest.mark.slow  # searches the memory of whole runs

HONEST = toy_experiment(
    "whoever looks for the test part does not find it",
    """[tune]
trials = 2
[[models]]
name = "toppopular"
""",
    seeds=[1, 2],
)
HOSTILE = ["spy", "forger", "latecomer"]
MASK = 0x5EA1


@pytest.fixture(scope="module")
def hostile(make_place, plugin, tmp_path_factory):
    """A run with hostile models: the place, what they found, and the run's outcome."""
    secret = tmp_path_factory.mktemp("secret")
    place = make_place(HONEST)
    place.environment = {**plugin("hostile"), "HOSTILE": str(secret)}
    plan = make_plan(load_experiment(place.file), place.root, None, progress=False)
    place.workspace.mkdir()
    for cell in plan.cells:
        parts = draw(plan, cell).parts
        numbers = Materials(plan, Workspace(place.workspace)).numbers(cell)
        for name in ("train", "test"):
            # Under the numbers that its process knows: what the raw file has is of no use to it.
            part = numbers.hide(getattr(parts, name))
            codes = part.users.astype(np.int64) * part.n_items + part.items
            np.save(secret / f"{name}-{cell.name.seed}.npy", np.append(part.n_items, codes ^ MASK))
            # So that the search of files is seen to find something.
            for folder, kind in ((place.root, "decoy"), (place.workspace, "result")):
                decoy = folder / f"{kind}-{name}-{cell.name.seed}.npz"
                np.savez_compressed(decoy, users=part.users, items=part.items)
    models = "".join(f'[[models]]\nname = "{name}"\n' for name in HOSTILE)
    place.file.write_text(HONEST + models)
    done = place.run("--jobs", "1")
    assert (secret / "findings.jsonl").is_file(), done
    lines = (secret / "findings.jsonl").read_text().splitlines()
    return place, [json.loads(line) for line in lines], done


def confined_by(place):
    shown = place.call(
        "show", "toy/random-holdout/toppopular/seed 1", "--workspace", str(place.workspace),
        "--format", "json",
    )  # fmt: skip
    return json.loads(shown.stdout)["confined_by"]


def searches(hostile, part):
    found = [f for f in hostile[1] if f.get("part") == part]
    # The first cell takes the first look at the code.
    assert [(f["seed"], f["place"]) for f in found] == [
        (1, "first look"),
        *((seed, place) for seed in (1, 2) for place in ("tuner", "fit", "score")),
    ]
    return found


def test_the_search_finds_the_training_part_in_every_way(hostile):
    for found in searches(hostile, "train"):
        assert found["walk"], found
        assert found["collector"], found
        assert f"decoy-train-{found['seed']}.npz" in found["files"]
        assert found["unlocked"] == ["known.bin", "tuning.bin"]
        assert {"sealed.bin", "split.json", "ledger.db", "toy.toml"} <= set(found["searched"])
        if "landlock" in confined_by(hostile[0]):
            assert {f"result-train-{seed}.npz" for seed in (1, 2)} <= set(found["refused"])


def test_the_search_finds_the_test_part_in_no_way(hostile):
    for found in searches(hostile, "test"):
        assert not found["walk"], found
        assert not found["collector"], found
        own, other = found["seed"], 3 - found["seed"]
        assert f"decoy-test-{own}.npz" in found["files"]
        # Another seed trains on much of this one's test part, and that is of no use: each split has
        # numbers of its own.
        assert f"decoy-train-{other}.npz" not in found["files"]
        kept = ("decoy",) if "landlock" in confined_by(hostile[0]) else ("decoy", "result")
        assert [name for name in found["files"] if not name.startswith(kept)] == []
        assert found["unlocked"] == []


def cells(place):
    """State, reason and openings of the cells of seed 1, by model."""
    ledger = Ledger.in_workspace(place.workspace)
    experiment = load_experiment(place.file)
    found = {}
    for member in ledger.members("toy", experiment.grid_hash):
        status = ledger.status(member.cell)
        if member.name.seed == 1:
            reasons = [opening.reason for opening in status.openings]
            found[member.name.model] = (status.state, status.reason, reasons)
    ledger.close()
    return found


def test_a_request_that_is_forged_while_tuning_is_refused_written_down_and_voids_the_cell(hostile):
    place, findings, done = hostile
    assert done.returncode == 3
    # Once in the trial, once in the final fit; then comes the harness, too late.
    forged = [f for f in findings if f.get("forged")]
    assert [f["forged"] for f in forged[:2]] == ["refused", "refused"]
    assert "0 of 1 trial of its tuning are finished" in forged[0]["reason"]
    state, reason, openings = cells(place)["forger"]
    assert (state, openings) == ("failed", ["refused"])
    assert "was asked for before its tuning was over" in reason
    assert "The attempt is void" in reason
    assert reason in done.stdout


def test_a_request_that_is_forged_in_the_final_fit_is_written_down_and_voids_the_cell(hostile):
    state, reason, openings = cells(hostile[0])["latecomer"]
    assert hostile[1][-1] == {"forged": "answered", "bytes": 32}
    assert (state, openings) == ("failed", ["first"])
    assert "was opened once in this attempt, by something else than" in reason


def test_the_others_are_tested_once(hostile):
    for model in ("toppopular", "spy"):
        assert cells(hostile[0])[model] == ("done", None, ["first"])
