"""Addresses of SQLite files: any path, and nothing written elsewhere."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.inprocess import call_here

from recrepro.errors import UsageError
from recrepro.store.address import LedgerAddress, address_of_file
from recrepro.store.ledger import Ledger

NAMES = ["plain", "a?b", "a?mode=ro", "a%20b", "a%2Fb", "a b#c", "ä'\"", "x&y=z", "a%3Fb"]


@pytest.mark.parametrize("name", NAMES)
def test_a_workspace_of_any_name_has_its_own_ledger(tmp_path, name):
    for folder in (name, f"{name}2"):
        place = tmp_path / folder
        place.mkdir()
        with contextlib.closing(Ledger.in_workspace(place)) as ledger:
            assert ledger.states() == {}
        assert (place / "ledger.db").is_file()
        with contextlib.closing(Ledger(str(ledger.address))) as again:  # as a worker opens it
            assert again.address.file == place / "ledger.db"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"{name}2"])


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1))
def test_an_address_names_the_file_it_was_made_of(tmp_path_factory, name):
    path = tmp_path_factory.getbasetemp() / name / "ledger.db"
    if name in (".", ".."):
        return
    for options in (None, {"mode": "ro"}):
        assert LedgerAddress(address_of_file(path, options)).file == path


@pytest.mark.slow
def test_mlflow_finds_its_database_and_writes_nothing_beside_the_workspace(make_place_here):
    place = make_place_here("")
    place.file.write_text(GRID)
    for name in ("a?b", "a%20b"):
        place.workspace = place.root / name
        done = place.run()
        assert done.returncode == 0, done.stderr
        assert "could not be brought up to date" not in done.stdout
        status = place.call("status", str(place.file), "--workspace", str(place.workspace))
        assert "everything is there" in status.stdout
    assert {p.name for p in place.root.iterdir()} == {"a?b", "a%20b", place.file.name}


GRID = """
schema = 1
claim = "any path will do"
[[datasets]]
name = "toy"
synthetic = { users = 30, items = 20, interactions = 300, seed = 3 }
[[splits]]
name = "random-holdout"
[[models]]
name = "toppopular"
"""


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://h:54x/x",
        "postgresql://me:s3cret@h:54x/x",
        "postgresql://me:s3cret@[::1/x",
        "postgresql://me:s3cret@h/x?port=abc",
        "postgresql+nosuch://me:s3cret@h/x",
        "sqlite:////tmp/ledger.db?timeout=abc",
        "mysql://me:s3cret@h/x",
        "me:s3cret@h/x",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(address, tmp_path):
    (tmp_path / "runs").mkdir()
    done = call_here(("status", "--workspace", "runs", "--ledger", address), tmp_path, {})
    assert done.returncode == 2
    assert "postgresql://user@host/database" in done.stderr
    with pytest.raises(UsageError) as error:
        LedgerAddress(address).engine()
    assert "s3cret" not in f"{done.stderr}{error.value}"
