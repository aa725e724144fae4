"""Passwords are masked in everything that a command prints."""

import io
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from support.inprocess import call_here
from support.texts import is_steering

from recrepro.cli.console import make_console
from recrepro.cli.output import guarded_output, known_secrets, open_terminal
from recrepro.spec.remedies import SMALLEST
from recrepro.tables.console import print_table
from recrepro.text.redact import redacted

SECRET = "sEcr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"http://user:{SECRET}@127.0.0.1:40805/api/2.0/x failed",
        f"postgresql://me:{SECRET}@[::1]/db",
        f"postgresql://me@host/db?password={SECRET}",
        f"postgresql://me@host/db?sslmode=require&sslpassword={SECRET}&x=1",
        f"https://host/path?token={SECRET}",
        f"host=a user=me password={SECRET} dbname=b",
        f"https://{SECRET * 4}@host/",
    ],
)
def test_a_secret_is_masked_wherever_an_address_is_written(text):
    assert SECRET not in redacted(text)
    assert "***" in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/me/runs/ledger.db",
        "https://me@host/a",
        "postgresql://me@127.0.0.1:5432/recrepro",
        "A. Author (a@example.org), https://example.org",
        "tokens = 3, the password of the server",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redacted(text) == text


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=4))
def test_a_known_secret_is_masked_in_any_words(secret):
    assert (
        secret
        not in redacted(f"before {secret}, after", frozenset([secret])).replace("***", "")[7:-7]
    )


def test_secrets_are_known_from_the_environment_and_the_arguments(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:one%40two@host")
    monkeypatch.setenv("PGPASSWORD", "three")
    arguments = [
        "run",
        "--ledger",
        "postgresql://me@h/db?password=four%21",
        "--mlflow=http://a:five@b",
    ]
    assert known_secrets(arguments) >= {"one%40two", "one@two", "three", "four%21", "four!", "five"}


def test_both_streams_are_masked(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:{SECRET}@host")
    out, err = io.StringIO(), io.StringIO()
    with guarded_output([], out, err):
        sys.stdout.write(f"it was {SECRET}\n")
        sys.stderr.write(f"or {SECRET}\n")
    assert (out.getvalue(), err.getvalue()) == ("it was ***\n", "or ***\n")


@pytest.mark.parametrize("verb", ["sync", "leaderboard", "status"])
def test_a_server_that_fails_does_not_make_a_command_print_its_password(
    verb, place_here, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:{SECRET}@127.0.0.1:9")
    monkeypatch.setattr(
        "recrepro.tracking.client.redacted", lambda uri: uri
    )  # even where a message forgets to
    place_here.environment["COLUMNS"] = "200"
    done = place_here.run()
    assert SECRET not in done.stdout + done.stderr
    where = ["--workspace", str(place_here.workspace)]
    done = place_here.call(verb, str(place_here.file), *where)
    assert SECRET not in done.stdout + done.stderr


def test_control_characters_are_replaced_and_own_colours_stay(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out, err = Terminal(), io.StringIO()
    with guarded_output([], out, err):
        console = make_console()
        console.print(Text.assemble(("na\x1b]0;me\x07", "bold red"), ": cl\u202eaim"))
        print_table(console, "a\x1b[2Jb", ("c",), [("d\x9be",)])
        click.echo("\x1b[31mf\rg", color=True)
        click.echo("h\x85i", err=True)
        with open_terminal():
            sys.stdout.write("\r50 %")
        sys.stderr.write("\r")
    printed = out.getvalue()
    assert "\x1b[1;31mna\ufffd]0;me" in printed
    assert "cl\ufffdaim" in printed
    assert "a\ufffd[2J" in printed
    assert "d\ufffde" in printed
    assert "\ufffd[31mf\ufffdg\n" in printed
    assert printed.endswith("\r50 %")
    assert err.getvalue() == "h\ufffdi\n\ufffd"


class Terminal(io.StringIO):
    def isatty(self):
        return True


HOSTILE = "\x1b]0;pwn\x07\x9b2J\u202e"


def hostile_file(folder, kind):
    """Write a file whose content, or name of a member, steers a terminal; say how to read it."""
    if kind == "value":
        (folder / "a.csv").write_text(f"user,item,rating\n1,2,{HOSTILE}\n")
    elif kind == "header":
        (folder / "a.csv").write_text(f"{HOSTILE},item\n1,2\n")
    else:
        (folder / f"a{HOSTILE}.csv").write_text("user,item\n1,2\n")


@pytest.mark.parametrize("kind", ["value", "header", "name"])
def test_what_files_hold_does_not_steer_the_terminal(tmp_path, kind):
    hostile_file(tmp_path, kind)
    text = SMALLEST.replace('name = "movielens-100k"', 'name = "a"\nfile = "a.csv"')
    (tmp_path / "e.toml").write_text(text)
    done = call_here(["check", "e.toml"], tmp_path, {})
    assert done.returncode in {2, 3}
    printed = done.stdout + done.stderr
    assert "pwn" in printed
    assert not any(map(is_steering, printed))
