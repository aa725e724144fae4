"""Where a number was made."""

import hashlib
import subprocess

import pytest

from recrepro.run import provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small repository in place of the one of recrepro."""

    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(
            ["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True
        ).stdout

    git("init", "-q")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "constraints.txt").write_text("a==1\n")
    git("add", "-A")
    git("commit", "-qm", "first")
    monkeypatch.setattr(provenance, "checkout", lambda: tmp_path)
    return tmp_path, git


def state():
    return provenance.code_state.__wrapped__().to_json()


def test_commit_and_changes_of_the_checkout(checkout):
    root, git = checkout
    head = git("rev-parse", "HEAD").decode().strip()
    assert state() == {"commit": head, "dirty": False, "diff": None}
    (root / "constraints.txt").write_text("a==2\n")
    changed = state()
    assert changed["dirty"]
    assert changed["diff"] == hashlib.sha256(git("diff", "--binary", "HEAD")).hexdigest()
    (root / "new.py").write_text("a = 1\n")
    with_file = state()["diff"]
    (root / "new.py").write_text("a = 2\n")
    assert len({changed["diff"], with_file, state()["diff"]}) == 3


def test_locks_are_hashes_of_the_pins_and_of_what_is_installed(checkout, monkeypatch):
    monkeypatch.setattr(provenance, "all_installed", lambda: {"a": "1", "b": "2"})
    assert provenance.environment().locks == {
        "constraints": hashlib.sha256(b"a==1\n").hexdigest(),
        "installed": hashlib.sha256(b"a==1\nb==2\n").hexdigest(),
    }


def test_an_installed_package_has_no_commit(monkeypatch):
    monkeypatch.setattr(provenance, "checkout", lambda: None)
    assert state() == {"commit": None, "dirty": None, "diff": None}
    assert provenance.environment().locks["constraints"] is None


def test_gpus_are_those_that_their_tool_lists(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'Card One, 600.1'\necho 'Card Two, 600.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    names = [(gpu["name"], gpu["driver"]) for gpu in provenance.environment().gpus]
    assert names == [("Card One", "600.1"), ("Card Two", "600.1")]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert provenance.environment().gpus == []
