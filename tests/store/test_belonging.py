"""A workspace and its ledger belong together: no command takes another pair for one."""

import shutil

import pytest
from support.inprocess import call_here
from support.places import GRID
from support.results import make_identity, make_name, make_record

from recrepro.errors import LedgerError
from recrepro.store.entries import Member
from recrepro.store.ledger import Ledger
from recrepro.store.workspace import Workspace

COMMANDS = (
    "status",
    "gc",
    "gc --dry-run",
    "run e.toml",
    "check e.toml",
    "leaderboard e.toml",
    "compare e.toml",
    "report e.toml",
    "cite e.toml cited",
    "show d/s/a/seed1",
    "export d/s/a/seed1 bundle",
    "withdraw d/s/a/seed1 --because x",
    "sync",
)


def folder_with_result(root, model="a"):
    """Make a workspace in which one cell is done; return the name of its blob."""
    workspace, ledger = Workspace.create(root), Ledger.in_workspace(root)
    identity = make_identity(model)
    ledger.plan("e", "hash", "", [(Member(identity.key, make_name(model)), identity)])
    token = ledger.lease(identity.key)
    blob = workspace.write_blob(b"values")
    ledger.commit(token, make_record(identity=identity, changes={"per_user": blob}))
    ledger.close()
    return blob


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def damage(folder, how, other):
    """Lose, empty or replace the ledger of a workspace; return the options that then name it."""
    ledger = folder / "ledger.db"
    if how == "address of another":
        return ["--ledger", f"sqlite:///{other / 'ledger.db'}"]
    ledger.unlink()
    if how == "empty":
        ledger.touch()
    if how == "file of another":
        shutil.copy(other / "ledger.db", ledger)
    return []


@pytest.mark.parametrize("how", ["empty", "file of another", "address of another"])
def test_every_command_refuses_a_ledger_that_is_not_that_of_the_workspace(tmp_path, how):
    folder_with_result(tmp_path / "mine")
    folder_with_result(tmp_path / "other", "b")
    (tmp_path / "e.toml").write_text(GRID)
    options = damage(tmp_path / "mine", how, tmp_path / "other")
    before = content(tmp_path)
    for command in COMMANDS:
        done = call_here([*command.split(), "--workspace", "mine", *options], tmp_path, {})
        assert done.returncode == 3, (command, done.stdout, done.stderr)
        assert "workspace" in done.stderr
        assert "fault of recrepro" not in done.stderr
        assert "recrepro adopt" in done.stderr or "belongs to another workspace" in done.stderr
    after = content(tmp_path)
    assert {p: c for p, c in after.items() if "lock" not in p.name} == {
        p: c for p, c in before.items() if "lock" not in p.name
    }


@pytest.mark.parametrize("how", ["empty", "missing"])
def test_a_folder_whose_ledger_is_lost_is_adopted_by_name_only(tmp_path, how):
    blob = folder_with_result(tmp_path / "mine")
    damage(tmp_path / "mine", how, None)
    with pytest.raises(LedgerError, match=rf"is {how}.*recrepro adopt"):
        Ledger.in_workspace(tmp_path / "mine")
    done = call_here(["adopt", "mine"], tmp_path, {})
    assert done.returncode == 0, done.stderr
    assert "1 blob in the folder" in done.stdout
    ledger = Ledger.in_workspace(tmp_path / "mine")
    assert ledger.done() == []
    ledger.close()
    assert Workspace(tmp_path / "mine").read_blob(blob) == b"values"


def test_a_ledger_elsewhere_is_tied_to_the_first_folder_that_uses_it(tmp_path):
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    for name in ("first", "second"):
        Workspace.create(tmp_path / name)
    Ledger.in_workspace(tmp_path / "first", url).close()
    Ledger.in_workspace(tmp_path / "first", url).close()
    own = Ledger.in_workspace(tmp_path / "second")
    own.close()
    with pytest.raises(LedgerError, match="belongs to another workspace"):
        Ledger.in_workspace(tmp_path / "second", url)


def test_adopting_does_not_tie_the_ledger_of_another_workspace(tmp_path):
    folder_with_result(tmp_path / "mine")
    identity = make_identity("b")
    other = Ledger.in_workspace(Workspace.create(tmp_path / "other").root)
    other.plan("e", "hash", "", [(Member(identity.key, make_name("b")), identity)])
    other.close()
    done = call_here(
        ["adopt", "mine", "--ledger", f"sqlite:///{tmp_path / 'other/ledger.db'}"], tmp_path, {}
    )
    assert done.returncode == 3
    assert "recrepro merge" in done.stderr


def test_a_copied_or_moved_workspace_opens(tmp_path):
    folder_with_result(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine", tmp_path / "copy")
    (tmp_path / "mine").rename(tmp_path / "moved")
    for name in ("copy", "moved"):
        ledger = Ledger.in_workspace(tmp_path / name)
        assert len(ledger.done()) == 1
        ledger.close()


def test_a_workspace_that_has_lost_its_id_gets_it_from_the_ledger(tmp_path):
    folder_with_result(tmp_path)
    identifier = (tmp_path / "workspace.id").read_text()
    (tmp_path / "workspace.id").unlink()
    Ledger.in_workspace(tmp_path).close()
    assert (tmp_path / "workspace.id").read_text() == identifier


@pytest.mark.parametrize("text", ["", "x", "g" * 32, "a" * 31])
def test_a_damaged_id_is_named(tmp_path, text):
    folder_with_result(tmp_path)
    (tmp_path / "workspace.id").write_text(text)
    with pytest.raises(LedgerError, match=r"workspace\.id is damaged: it has to hold 32"):
        Ledger.in_workspace(tmp_path)
