"""A model of one's own in an experiment: judged, recorded, told from its older code, exported."""

import json
import subprocess

import pytest
from support.places import toy_experiment

from recrepro.errors import UsageError
from recrepro.spec.experiment import load_experiment

pytestmark = pytest.mark.slow  # whole runs

MODEL = '''
import numpy as np
from recrepro.model import Recommender

class Mine(Recommender):
    """Popularity, or its reverse."""
    def fit(self, train, rng):
        self.counts = train.item_counts.astype(np.float32)
        return self
    def score(self, users, histories):
        return np.tile({sign}self.counts, (len(users), 1))

def fit(train, rng):
    counts = train.item_counts.astype(np.float32)
    return lambda users, histories: np.tile(counts, (len(users), 1))
'''
REST = """[tune]
trials = 2
[[models]]
class = "model.py:Mine"
{role}
[[models]]
name = "ease"
"""


@pytest.fixture
def place(place_here):
    place_here.file.write_text(toy_experiment("mine is better", REST.format(role="")))
    write(place_here, "")
    return place_here


def write(place, sign):
    (place.root / "model.py").write_text(MODEL.format(sign=sign))


def rows(place):
    done = place.run()
    assert done.returncode == 0, done.stderr
    board = place.board()
    (table,) = board["leaderboards"]
    return {row["model"]: row for row in table["rows"]}, table, board["verdicts"], done.stdout


def show(place, name):
    done = place.call("show", name, "--workspace", str(place.workspace), "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_is_judged_unless_the_experiment_says_otherwise(place):
    found, _, verdicts, out = rows(place)
    assert (found["mine"]["role"], found["ease"]["role"]) == ("judged", "baseline")
    (judged,) = verdicts["boards"][0]["models"]
    assert (judged["model"], judged["reference"]["model"]) == ("mine", "ease")
    assert "parameter-free, judged" in out
    assert show(place, "toy/random-holdout/mine")["model"]["role"] == "judged"

    given = REST.format(role='role = "baseline"')
    place.file.write_text(toy_experiment("mine is better", given))
    found, _, verdicts, out = rows(place)
    assert "(2 done before)" in out  # a role changes no number
    assert (found["mine"]["role"], verdicts["boards"][0]["models"]) == ("baseline", [])


def test_changed_code_runs_again_and_the_older_result_can_be_named(place):
    first, *_ = rows(place)
    older = show(place, "toy/random-holdout/mine")["cell"]
    write(place, "-")
    second, _, _, out = rows(place)
    assert "(1 done before)" in out
    assert second["mine"]["means"] != first["mine"]["means"]
    assert second["mine"]["notes"] == [f"older code of it has results too: {older[:8]}"]
    assert second["ease"]["notes"] == first["ease"]["notes"]
    assert show(place, older[:12])["metrics"]["ndcg@10"] == first["mine"]["means"]["ndcg@10"]

    done = place.call("show", "toy/random-holdout/mine", "--workspace", str(place.workspace))
    assert done.returncode == 2
    assert "fits 2 cells" in done.stderr
    assert f"key {older[:8]} (ndcg@10; 1 trial; code " in done.stderr

    write(place, "# a comment\n            ")  # the code of the first run, written otherwise
    third, _, _, out = rows(place)
    assert "(2 done before)" in out
    assert third["mine"]["means"] == first["mine"]["means"]


def test_a_function_and_two_models_of_one_name_are_told_apart(place):
    text = REST.format(role="") + '[[models]]\nclass = "other/model.py:Mine"\nlabel = "other"\n'
    text += '[[models]]\nclass = "model.py:fit"\nlabel = "function"\n'
    place.file.write_text(toy_experiment("mine is better", text))
    (place.root / "other").mkdir()
    (place.root / "other" / "model.py").write_text(MODEL.format(sign="-"))
    found, *_ = rows(place)
    mine, other, function = (found[name]["means"] for name in ("mine", "other", "function"))
    assert mine == function != other


def git(place, *arguments):
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", *who, *arguments]
    done = subprocess.run(command, cwd=place.root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_record_has_the_state_of_the_models_own_repository(place):
    git(place, "init", "-q")
    git(place, "add", "model.py", "toy.toml")
    git(place, "commit", "-q", "-m", "a model")
    rows(place)
    code = show(place, "toy/random-holdout/mine")["model"]["code"]
    assert code["place"] == "model.py:Mine"
    assert code["repository"]["commit"] == git(place, "rev-parse", "HEAD")
    assert "code" not in show(place, "toy/random-holdout/ease")["model"]
    done = place.call("show", "toy/random-holdout/mine", "--workspace", str(place.workspace))
    assert git(place, "rev-parse", "HEAD") in done.stdout


def test_a_result_is_withdrawn_and_counted(place):
    rows(place)
    where = ("--workspace", str(place.workspace))
    done = place.call("withdraw", "toy/random-holdout/mine", "--because", "wrong sign", *where)
    assert done.returncode == 0, done.stderr
    found, table, verdicts, _ = rows(place)
    assert set(found) == {"ease"}
    assert "Withdrawn: 1 result of mine (wrong sign)" in table["notes"]
    assert verdicts["boards"][0]["models"] == []
    assert show(place, "toy/random-holdout/mine")["metrics"]
    for bad, said in (("toy/random-holdout/nobody", "unknown cell"), ("toy", "unknown cell")):
        done = place.call("withdraw", bad, "--because", "x", *where)
        assert done.returncode == 2
        assert said in done.stderr


def test_a_bundle_has_the_code_or_is_refused(place, monkeypatch):
    monkeypatch.setattr(
        "recrepro.reproduce.bundle._build_wheel",
        lambda target: (target / "recrepro-0-py3-none-any.whl").write_bytes(b""),
    )
    (place.root / "setup.cfg").touch()
    (place.root / "helper.py").write_text("SCALE = 1.0\n")
    text = (place.root / "model.py").read_text()
    (place.root / "model.py").write_text(f"from helper import SCALE\n{text}")
    rows(place)
    name, where = "toy/random-holdout/mine", ("--workspace", str(place.workspace))
    bundle = place.root / "bundle"
    done = place.call("export", name, str(bundle), *where)
    assert done.returncode == 0, done.stderr
    shipped = load_experiment(bundle / "experiment.toml").models[0]
    assert (shipped.target, shipped.title) == ("model.py:Mine", "mine")
    assert (bundle / "helper.py").read_text() == "SCALE = 1.0\n"
    assert "model.py" in (bundle / "SHA256SUMS").read_text()
    moved = bundle.rename(place.root.parent / f"{place.root.name}-bundle")
    done = place.call("reproduce", str(moved / "record.json"), *where)
    assert done.returncode == 0, done.stderr
    assert "identical" in done.stdout

    (place.root / "model.py").write_text(f"from helper import SCALE\n{text}\nX = 1\n")
    done = place.call("export", name, str(place.root / "second"), *where)
    assert done.returncode == 3
    assert "the code of 'mine' was changed since the run" in done.stderr
    assert not (place.root / "second").exists()


def test_code_that_changes_while_the_run_is_under_way_ends_the_cell(place, monkeypatch):
    from recrepro.run import cell

    monkeypatch.setattr(cell, "fingerprint", lambda _: "f" * 64)
    done = place.run()
    assert done.returncode == 3
    assert "was changed after the run began" in done.stdout


@pytest.mark.parametrize(
    ("rest", "parts"),
    [
        ('[[models]]\nname = "ease"\n', ["the device 'cuda'", "hyperparameter 'device'"]),
        ('[[models]]\nname = "gmf"\nparams = { device = "tpu" }\n', ["device"]),
    ],
)
def test_a_device_that_no_model_takes_is_refused(place, rest, parts):
    place.file.write_text(toy_experiment("devices", rest))
    done = place.run("--device", "cuda")
    assert done.returncode == 2
    for part in parts:
        assert part in done.stderr


def test_a_device_reaches_the_models_that_have_one(place, tmp_path):
    from recrepro.run.plan import make_plan

    rest = '[[models]]\nname = "gmf"\n[[models]]\nname = "ease"\n'
    place.file.write_text('device = "cpu"\n' + toy_experiment("devices", rest))
    plan = make_plan(load_experiment(place.file), place.root, None, progress=False)
    params = {cell.name.model: cell.identity.model.params for cell in plan.cells}
    assert params["gmf"]["device"] == "cpu"
    assert "device" not in params["ease"]
    plain = toy_experiment("devices", rest)
    other = tmp_path / "plain.toml"
    other.write_text(plain)
    assert load_experiment(other).grid_hash == load_experiment(place.file).grid_hash


def test_a_model_needs_a_name_or_a_class(place):
    place.file.write_text(toy_experiment("nameless", "[[models]]\ntune = false\n"))
    with pytest.raises(UsageError, match=r"give .name.*or .class."):
        load_experiment(place.file)
