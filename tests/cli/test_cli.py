"""Bad input: one message that names the place and the next step, an exit code, no traceback."""

import contextlib
import gzip
import json
import re
import subprocess
import sys

import psutil
import pytest

from recrepro import cli as module

GOOD = """
schema = 1
claim = "c"
[[datasets]]
name = "log"
file = "log.csv"
[[splits]]
name = "random-holdout"
[[models]]
name = "toppopular"
"""
LOG = "user,item,rating\n" + "\n".join(f"{u},{i},1" for u in range(5) for i in range(6))


@pytest.fixture
def recrepro(tmp_path, monkeypatch, capsys, cells_here):
    """Call the command line in this process, in a folder with a small valid experiment.

    Cells run in this process, too, unless a test asks for others.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "e.toml").write_text(GOOD)
    (tmp_path / "log.csv").write_text(LOG)

    def call(*arguments, cells=cells_here):
        monkeypatch.setattr(sys, "argv", ["recrepro", *arguments])
        with cells(), pytest.raises(SystemExit) as ended:
            module.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return ended.value.code, captured.out, captured.err

    call.folder = tmp_path
    return call


def change(recrepro, old, new):
    (recrepro.folder / "e.toml").write_text(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("claim =", "claims =", "unknown key 'claims'. Did you mean 'claim'"),
        ('name = "log"', 'nam = "log"', "datasets #1: unknown key 'nam'. Did you mean 'name'"),
        ("random-holdout", "random-holdot", "Did you mean 'random-holdout'"),
        ("toppopular", "toppoplar", "unknown model 'toppoplar'. Did you mean 'toppopular'"),
        ('name = "random-holdout"', 'name = "random-holdout"\nfractoin = 0.1', "'fraction'"),
        ('name = "random-holdout"', 'name = "random-holdout"\nfraction = 2', "less than 1"),
        ('name = "toppopular"', 'name = "ease"\nparams = { l3 = 1.0 }', "Did you mean 'l2'"),
        ('name = "toppopular"', 'name = "ease"\nparams = { l2 = -1.0 }', "greater than 0"),
        ('name = "toppopular"', 'name = "ease"\nsearch = { l2 = { log = [1, 2] } }', "log_uniform"),
        ("[[models]]", '[evaluate]\nmetrics = ["ndgc@10"]\n[[models]]', "Did you mean 'ndcg@10'"),
        ("[[models]]", '[evaluate]\nmetrics = ["ndcg"]\n[[models]]', "write it as ndcg@10"),
        (
            "[[models]]",
            '[evaluate]\nmetrics = ["hr@10"]\n[[models]]',
            "Did you mean 'hit_rate@10'?",
        ),
        ('file = "log.csv"', "", "unknown data set 'log'"),
        ('file = "log.csv"', 'file = "lok.csv"', "Did you mean 'log.csv'"),
        ('file = "log.csv"', 'file = "log.csv"\ncolumns = { userid = "user" }', "columns"),
        (
            'name = "toppopular"',
            'name = "ease"\nsearch = { l2 = { uniform = [1.0, 2.0] } }',
            "[tune]",
        ),
        (GOOD, GOOD + '[[models]]\nname = "toppopular"\nlabel = "again"', "cells are the same"),
        ('file = "log.csv"', 'format = "csv"', "go with 'file'"),
        ("schema = 1", "schema = 2", "schema"),
        ('name = "random-holdout"', 'name = "random-holdout"\nfraction = nan', "finite number"),
        ('name = "random-holdout"', 'name = "temporal"\nat = 2020-05-01', "seconds since 1970"),
        ("[[models]]", '[evaluate]\nmetrics = ["ndcg@99999999999"]\n[[models]]', "1,000,000"),
        ("[[splits]]", '[[datasets]]\nname = "log"\nfile = "log.csv"\n[[splits]]', "own 'name'"),
        ("schema = 1", "schema = ", "not a valid experiment file"),
        (GOOD, GOOD + '[[models]]\nname = "toppopular"', "give each its own 'label'"),
        ("[[models]]", "[tune]\ntrials = 0\n[[models]]", "tune.trials"),
        ("[[models]]", '[tune]\ntrials = 2\nmetric = "mrr@5"\n[[models]]', "evaluate.metrics"),
        ("[[splits]]", "[evaluate]\ncandidates = 'published'\n[[splits]]", "brings no negatives"),
        ('name = "random-holdout"', 'name = "published"', "has no published split"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(recrepro, old, new, said):
    change(recrepro, old, new)
    code, _, err = recrepro("run", "e.toml")
    assert code == 2, err
    assert said in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("user,item,rating\n1,2,nan\n3,4,1\n", "not a finite number"),
        ("user,item,rating\n,2,1\n", "log.csv, line 2: the user is empty"),
        ("user,item,rating\n1,2,1\n", "part of the split is empty"),
        ("", "empty"),
    ],
)
def test_bad_data_is_a_failure_that_names_the_file(recrepro, content, said):
    (recrepro.folder / "log.csv").write_text(content)
    code, out, err = recrepro("run", "e.toml")
    assert code == 3
    assert said in err + out


def test_a_missing_column_is_a_usage_error_because_the_experiment_can_name_it(recrepro):
    (recrepro.folder / "log.csv").write_text("user,itm,rating\n1,2,3\n")
    code, _, err = recrepro("run", "e.toml")
    assert code == 2
    assert "no column 'item'" in err
    assert "Did you mean 'itm'" in err


def test_a_broken_gzip_is_named(recrepro):
    whole = gzip.compress(LOG.encode())
    (recrepro.folder / "log.csv.gz").write_bytes(whole[: len(whole) // 2])
    change(recrepro, "log.csv", "log.csv.gz")
    code, _, err = recrepro("run", "e.toml")
    assert code == 3
    assert "log.csv.gz" in err
    assert "gzip" in err


def test_times_are_needed_for_a_temporal_split(recrepro):
    change(recrepro, "random-holdout", "temporal")
    code, out, err = recrepro("run", "e.toml")
    assert code == 3
    assert "needs the time of each interaction" in out + err


def test_an_experiment_that_is_not_there_offers_the_one_that_is(recrepro):
    code, _, err = recrepro("run", "f.toml")
    assert code == 2
    assert "Did you mean 'e.toml'" in err


def test_a_usage_error_leaves_nothing_behind(recrepro):
    change(recrepro, "toppopular", "toppoplar")
    before = psutil.Process().children()
    recrepro("run", "e.toml", cells=contextlib.nullcontext)  # starts a process ahead
    assert psutil.Process().children() == before
    assert not (recrepro.folder / "recrepro-runs").exists()


def test_an_unwritable_workspace_is_a_failure(recrepro):
    (recrepro.folder / "taken").write_text("a file")
    code, _, err = recrepro("run", "e.toml", "--workspace", "taken/below")
    assert code == 3
    assert "cannot make the workspace" in err


@pytest.mark.parametrize("command", [("leaderboard", "e.toml"), ("ui",)])
def test_without_a_workspace_the_next_step_is_named(recrepro, command):
    code, _, err = recrepro(*command)
    assert code == 2
    assert "recrepro run EXPERIMENT" in err


def test_the_leaderboard_of_something_never_run_says_so(recrepro):
    assert recrepro("run", "e.toml")[0] == 0
    change(recrepro, "toppopular", "random")
    code, _, err = recrepro("leaderboard", "e.toml")
    assert code == 3
    assert "was run in this workspace" in err


def test_debug_shows_the_traceback(recrepro, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recrepro", "run", "f.toml", "--debug"])
    with pytest.raises(module.RecreproError):
        module.main()


def test_an_unknown_command_is_a_usage_error(recrepro):
    assert recrepro("ran", "e.toml")[0] == 2


def test_check_runs_nothing_and_lists_the_cells(recrepro):
    code, out, _ = recrepro("check", "e.toml")
    assert code == 0
    assert "log / random-holdout / seed 1: " in out
    assert re.search(r"toppopular +to run +one fit +unknown", out)
    assert not (recrepro.folder / "recrepro-runs").exists()


def test_check_says_what_memory_a_model_needs(recrepro):
    change(recrepro, 'name = "toppopular"', 'name = "ease"')
    code, out, err = recrepro("check", "e.toml")
    assert code == 0, err
    needed = json.loads(recrepro("check", "e.toml", "--format", "json")[1])["cells"][0]
    assert needed["memory_bytes"] > 500_000_000
    assert "0.5 GB" in out


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_a_dry_run_says_what_check_says_and_writes_nothing(recrepro):
    before = contents(recrepro.folder)
    memory = ("--memory", "8GB")  # what is free differs from one moment to the next
    code, out, _ = recrepro("run", "e.toml", "--dry-run", *memory)
    assert (code, out) == recrepro("check", "e.toml", *memory)[:2]
    assert contents(recrepro.folder) == before
    assert recrepro("run", "e.toml")[0] == 0
    change(recrepro, 'name = "toppopular"', 'name = "toppopular"\n[[models]]\nname = "random"')
    before = contents(recrepro.folder)
    code, out, _ = recrepro("run", "e.toml", "--dry-run")
    assert code == 0
    assert "2 cells, 1 to run without a search." in out
    assert contents(recrepro.folder) == before


def test_a_dry_run_does_not_reopen(recrepro):
    code, _, err = recrepro("run", "e.toml", "--dry-run", "--reopen", "toppopular")
    assert code == 2
    assert "--dry-run does not go with --reopen" in err


def test_check_knows_from_earlier_cells_how_long_a_model_takes(recrepro):
    assert recrepro("run", "e.toml")[0] == 0
    text = GOOD.replace('"random-holdout"', '"random-holdout"\nseeds = [1, 2]')
    (recrepro.folder / "e.toml").write_text(text)
    found = json.loads(recrepro("check", "e.toml", "--format", "json")[1])
    done, new = found["cells"]
    assert (done["state"], new["state"]) == ("done", "to run")
    assert new["seconds_from"] == "earlier cells"
    assert found["total"]["seconds"] == new["seconds"] > 0
    assert found["total"]["cells_of_unknown_time"] == 0


def test_check_says_what_cannot_be_run_and_why(recrepro, monkeypatch):
    monkeypatch.setattr("recrepro.run.costs.available_bytes", lambda: 200_000_000)
    code, out, err = recrepro("check", "e.toml")
    assert code == 3
    assert "cannot run" in out
    assert "toppopular on log needs about 0.5 GB of memory, 0.2 GB are available" in err


@pytest.mark.parametrize("given", ["8", "8 bytes", "-1GB", "GB", "8TB of it"])
def test_a_memory_budget_has_a_number_and_a_unit(recrepro, given):
    code, _, err = recrepro("run", "e.toml", "--memory", given)
    assert code == 2
    assert "write a number and its unit, such as 8GB" in err


def test_a_number_of_threads_is_a_number_or_auto(recrepro):
    for given in ("many", "0", "-2"):
        code, _, err = recrepro("check", "e.toml", "--threads", given)
        assert code == 2
        assert f"'{given}' is neither a whole number from 1 nor 'auto'" in err
    assert recrepro("check", "e.toml", "--threads", "auto")[0] == 0


def test_upkeep_of_what_was_never_run_says_so(recrepro):
    for command in ("status", "sync", "gc"):
        code, _, err = recrepro(command)
        assert code == 2
        assert "there is no workspace in recrepro-runs" in err
    assert recrepro("run", "e.toml")[0] == 0
    change(recrepro, "toppopular", "random")
    for command in ("status", "sync"):
        code, _, err = recrepro(command, "e.toml")
        assert code == 2
        assert "was run in this workspace" in err


def test_check_of_data_that_is_not_here_downloads_nothing(recrepro, monkeypatch):
    monkeypatch.setenv("RECREPRO_CACHE", str(recrepro.folder / "cache"))
    monkeypatch.delenv("RECREPRO_DATA", raising=False)
    change(recrepro, 'name = "log"\nfile = "log.csv"', 'name = "movielens-20m"')
    code, out, _ = recrepro("check", "e.toml")
    assert code == 0
    assert "movielens-20m: " in out
    assert not (recrepro.folder / "cache").exists()


@pytest.mark.parametrize("what", ["models", "datasets", "filters", "metrics", "splits"])
def test_ls_lists_every_name(recrepro, what):
    expected = {
        "models": "rp3beta",
        "datasets": "movielens-20m",
        "filters": "k-core",
        "metrics": "ndcg[recsys2019]@k",
        "splits": "leave-one-out",
    }
    code, out, _ = recrepro("ls", what)
    assert code == 0
    assert expected[what] in out


def test_ls_shows_the_ranges_of_one_model(recrepro):
    code, out, _ = recrepro("ls", "models", "ease")
    assert code == 0
    assert "l2" in out
    assert "{ log_uniform = [1.0, 10000000.0] }" in out


def test_ls_says_where_a_hyperparameter_has_no_effect(recrepro):
    _, out, _ = recrepro("ls", "models", "itemknn")
    assert "{ uniform = [0.0, 2.0] } where similarity is asymmetric" in " ".join(out.split())


@pytest.mark.parametrize(
    ("what", "name", "option"),
    [("filters", "k-core", "passes"), ("splits", "k-fold", "folds")],
)
def test_ls_shows_the_options_of_one(recrepro, what, name, option):
    code, out, _ = recrepro("ls", what, name)
    assert code == 0
    assert option in out


def test_ls_of_an_unknown_name_offers_the_nearest(recrepro):
    code, _, err = recrepro("ls", "datasets", "movielens-100")
    assert code == 2
    assert "Did you mean 'movielens-100k'" in err


def test_a_leaderboard_is_shown_in_every_format_cited_and_verified(recrepro):
    recrepro("run", "e.toml")
    for form in ("md", "csv", "tex", "html", "json", "text"):
        code, out, _ = recrepro("leaderboard", "e.toml", "--format", form)
        assert (code, "toppopular" in out) == (0, True), form
    code, out, err = recrepro("cite", "e.toml", "cited", "--author", "Curie, Marie")
    assert code == 0, err
    digest = out.partition("sha256:")[2][:64]
    assert "author = {Curie, Marie}" in out
    assert recrepro("verify", "cited", "--hash", digest)[0] == 0
    code, _, err = recrepro("cite", "e.toml", "cited")
    assert code == 2
    assert "is there already" in err
    table = recrepro.folder / "cited" / "leaderboard.md"
    table.chmod(0o644)
    table.write_text(table.read_text().replace("0.", "9."))
    code, _, err = recrepro("verify", "cited")
    assert code == 3
    assert "'leaderboard.md' was changed" in err


def test_a_reference_needs_intervals_and_a_report_is_one_file(recrepro):
    recrepro("run", "e.toml")
    before = set(recrepro.folder.iterdir())
    assert recrepro("report", "e.toml")[:2] == (0, "report.html\n")
    assert set(recrepro.folder.iterdir()) - before == {recrepro.folder / "report.html"}
    assert "toppopular" in (recrepro.folder / "report.html").read_text(encoding="utf-8")
    assert recrepro("leaderboard", "e.toml", "--reference", "toppopular")[0] == 0
    arguments = ("leaderboard", "e.toml", "--reference", "toppopular", "--no-intervals")
    code, _, err = recrepro(*arguments)
    assert code == 2
    assert "--reference goes with intervals" in err


def test_names_and_claims_are_printed_as_written(recrepro):
    metric = "ndcg[recsys2019]@10"
    claim = "wins [/b] on ndcg[recsys2019]@10 :smile:"
    text = GOOD.replace('claim = "c"', f'claim = "{claim}"')
    text = text.replace("[[models]]", f'[evaluate]\nmetrics = ["ndcg@10", "{metric}"]\n[[models]]')
    (recrepro.folder / "e.toml").write_text(text)
    code, out, err = recrepro("run", "e.toml")
    assert code == 0, err
    assert claim in out
    assert "ndcg[recsys2019]" in out.partition("toppopular")[2]


def test_check_finds_what_would_fail_in_a_run(recrepro):
    change(recrepro, "[[models]]", "[evaluate]\ncandidates = 5000\n[[models]]")
    code, _, err = recrepro("check", "e.toml")
    assert code == 3
    assert "5000 negatives were asked for" in err


def test_a_split_that_was_cut_off_is_drawn_again(recrepro):
    assert recrepro("run", "e.toml")[0] == 0
    (known,) = (recrepro.folder / "recrepro-runs" / "splits").glob("*/known.bin")
    known.write_bytes(known.read_bytes()[:60])
    (recrepro.folder / "e.toml").write_text(GOOD + '[[models]]\nname = "random"\n')
    code, out, err = recrepro("run", "e.toml")
    assert code == 0, out + err


def test_a_ledger_that_is_something_else_is_named(recrepro):
    (recrepro.folder / "recrepro-runs").mkdir()
    (recrepro.folder / "recrepro-runs" / "ledger.db").write_text("not a database " * 100)
    code, _, err = recrepro("leaderboard", "e.toml")
    assert code == 3
    assert "ledger.db is damaged: file is not a database" in err


def test_what_was_dropped_as_cold_stands_below_the_table(recrepro):
    rows = [f"{u},{i},{10 * i + u}" for u in range(5) for i in range(6)]
    rows += ["9,1,1000", "1,77,1001", "2,5,1002"]
    (recrepro.folder / "log.csv").write_text("user,item,time\n" + "\n".join(rows))
    change(recrepro, '"random-holdout"', '"temporal"\nat = 52')
    code, out, err = recrepro("run", "e.toml")
    assert code == 0, err
    assert "held-out interactions are not tested: 1 of users without any in training" in out


@pytest.mark.slow  # a run in a process of its own, whose reader has to leave
def test_a_reader_that_leaves_does_not_stop_the_run(recrepro):
    command = [sys.executable, "-P", "-m", "recrepro", "run", "e.toml"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    with process.stderr as errors:
        said = errors.read()
    assert process.wait(timeout=120) == 0, said
    assert recrepro("leaderboard", "e.toml")[0] == 0


def test_an_interrupt_does_not_wait_for_the_copying_to_mlflow_nor_takes_it_apart(tmp_path):
    code = """
import atexit, sys, threading
from recrepro import cli
from recrepro.tracking.background import BackgroundMirror

class Stuck:
    def sync(self):
        copying.set()
        threading.Event().wait()

def interrupted(*arguments, **options):
    mirror = BackgroundMirror(Stuck())
    mirror.poke()
    copying.wait()
    print("kept")
    raise KeyboardInterrupt

copying = threading.Event()
atexit.register(print, "the thread was taken apart")
cli.cli.main = interrupted
cli.main()
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "kept\n", "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--executor dask needs the address of a scheduler"),
        (["--scheduler", "tcp://node1:8786"], "name the scheduler as tls://HOST:PORT"),
        (["--scheduler", "127.0.0.1:1", "--ledger", "mysql://me:s3cret@h/x"], "cannot be in mysql"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_refused_before_any_work(recrepro, options, said):
    code, _, err = recrepro("run", "e.toml", "--executor", "dask", *options)
    assert code == 2, err
    assert said in err
    assert "s3cret" not in err
    assert not (recrepro.folder / "recrepro-runs").exists()


def test_the_password_of_a_ledger_that_does_not_answer_is_not_shown(recrepro, free_port):
    url = f"postgresql://me:s3cret@127.0.0.1:{free_port()}/ledger"
    (recrepro.folder / "recrepro-runs").mkdir()
    code, out, err = recrepro("leaderboard", "e.toml", "--ledger", url)
    assert code == 3
    assert "cannot be reached" in err
    assert "s3cret" not in out + err
