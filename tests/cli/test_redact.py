"""Passwords are masked in everything that a command prints."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrepro.cli.redact import known_secrets, redacted_output
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
    with redacted_output([], out, err):
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
