"""Terminals that know few characters or are narrow, and accounts without a home."""

import re
from collections import Counter

import pytest
from support.inprocess import call_here

COMMANDS = [
    ["--help"],
    ["run", "--help"],
    ["ls", "metrics"],
    ["ls", "models", "ease"],
    ["check", "toy.toml"],
    ["run", "toy.toml"],
    ["status"],
    ["audit", "toy.toml"],
]


@pytest.fixture
def folder(finished_here, tmp_path, monkeypatch):
    """A folder with an experiment that was run, whose claim has characters of several scripts."""
    claim = "ist größer, \N{GREEK SMALL LETTER ALPHA} \N{GREATER-THAN OR EQUAL TO} 0.5, 好"
    text = finished_here.text.replace("a small grid for tests", claim)
    (tmp_path / "toy.toml").write_text(text, encoding="utf-8")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("RECREPRO_WORKSPACE", str(finished_here.workspace))
    return tmp_path


def words(text):
    """Count what ASCII can say; without lines of tables, which are drawn in other characters."""
    return Counter(re.findall(r"[A-Za-z0-9.]+", text))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_output_loses_only_characters_that_the_terminal_lacks(folder, command):
    whole = call_here(command, folder, {"COLUMNS": "20"})
    assert whole.returncode == 0, whole.stderr
    assert words(whole.stdout)
    for encoding in ("ascii", "latin-1"):
        done = call_here(command, folder, {"COLUMNS": "20"}, encoding)
        assert (done.returncode, words(done.stdout)) == (0, words(whole.stdout)), done.stderr
        assert words(done.stderr) == words(whole.stderr)
