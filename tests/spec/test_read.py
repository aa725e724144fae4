"""Files that are not TOML: the line, and what to write there."""

import os
from pathlib import Path

import pytest

from recrepro.errors import UsageError
from recrepro.run.resolve import check_names
from recrepro.spec.experiment import load_experiment
from recrepro.spec.read import read_toml
from recrepro.spec.remedies import SMALLEST


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("name = ease", 'Put text in quotes: name = "ease".'),
        ("tune = True", "Write tune = true."),
        ("tune = False  # not now", "Write tune = false."),
        ("metric = None", "TOML has no None: leave metric out."),
        ('name: "ease"', 'Write name = "ease".'),
        ("seeds = [1, 2", "Close each bracket"),
        ("params = { l2 = 1.0", "Close each bracket"),
        ('claim = "c', "Close the quotes at the end of the text."),
        ("claim =", "Write a value after '=', or take the line away."),
        ("schema = 1", "That key or table is there already."),
        ("EASE wins", "Write key = value"),
    ],
)
def test_a_line_that_is_not_toml_is_named_with_what_to_write(tmp_path, line, advice):
    path = tmp_path / "e.toml"
    path.write_text(f"schema = 1\n{line}\n")
    with pytest.raises(UsageError) as refused:
        read_toml(path, "experiment file")
    assert advice in str(refused.value)
    assert f"e.toml, line {2 if 'Close each' not in advice else ''}" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("e.yaml", "schema: 1\n", "YAML"),
        ("e.yml", "- 1\n", "YAML"),
        ("e.toml", "# c\nschema: 1\ndatasets:\n  - name: a\n", "YAML"),
        ("e.json", "[1,\n", "JSON"),
        ("e.toml", '{"schema": 1}', "JSON"),
    ],
)
def test_a_file_in_another_language_is_answered_with_an_experiment(tmp_path, name, text, language):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=f"{name} is {language}, and .* TOML") as refused:
        read_toml(tmp_path / name, "experiment file")
    assert str(refused.value).endswith(SMALLEST)


def test_the_ending_does_not_matter_to_a_file_that_is_toml(tmp_path):
    (tmp_path / "e.yaml").write_text("schema = 1\n")
    assert read_toml(tmp_path / "e.yaml", "experiment file")[1] == {"schema": 1}


def test_the_smallest_experiment_is_one(tmp_path):
    (tmp_path / "e.toml").write_text(SMALLEST)
    models, splits = check_names(load_experiment(tmp_path / "e.toml"), tmp_path)
    assert (list(models), list(splits)) == (["toppopular", "ease"], ["random-holdout"])


EXPERIMENT = SMALLEST + "\n[tune]\ntrials = 2\n"
LONG = ".".join("a" * 40)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("trials = 2", f"trials = {'1' * 20}"), r"line 17: the whole number is beyond 64 bits"),
        (("trials = 2", f"trials = {'1' * 9_999}"), r"a whole number is beyond 64 bits"),
        (("trials = 2", f"trials = 0x{'1' * 9_999}"), r"line 17: .* beyond 64 bits"),
        (("trials = 2", f"trials = {'[' * 40}{']' * 40}"), r"line 17: .* more than 32 deep"),
        (("trials = 2", f"trials = {'[' * 900}{']' * 900}"), r"nested more than 32 deep"),
        (("trials = 2", f"trials = {'{a=' * 90_000}"), r"nested more than 32 deep"),
        (("trials = 2", f"{LONG} = 2"), r"line 17: .* more than 32 deep"),
        (("[tune]", f"[{LONG}]"), r"line 16: .* more than 32 deep"),
        (("trials = 2", " . ".join(['"a"'] * 40) + " = 2"), r"line 17: .* more than 32 deep"),
        (("EASE is", r"EASE \u001b]0;x\u0007 is"), r"line 2: the text holds .* U\+001B"),
        (("EASE is", "EASE \u202e is"), r"line 2: .* U\+202E"),
        (("EASE is", r"EASE \r is"), r"line 2: .* U\+000D"),
        (("trials = 2", '"a\\u0085" = 2'), r"line 16: a key holds .* U\+0085"),
        (("trials = 2", "#" * 1_000_000), r"more than 1,000,000 bytes"),
    ],
)
def test_what_no_file_may_hold_is_refused_with_its_line(tmp_path, change, said):
    path = tmp_path / "e.toml"
    path.write_text(EXPERIMENT.replace(*change))
    assert path.read_text() != EXPERIMENT
    with pytest.raises(UsageError, match=said):
        load_experiment(path)


def test_texts_of_many_words_lines_and_scripts_are_fine(tmp_path):
    path = tmp_path / "e.toml"
    claim = (
        "Ein Satz.\\n\\tÜber zwei\u200d Zeilen " + "a.b " * 100 + "." * 100 + "[" * 100 + "\u0645"
    )
    path.write_text(EXPERIMENT.replace("EASE is", claim))
    assert load_experiment(path).claim.startswith("Ein Satz.\n\tÜber")


def test_what_is_no_regular_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, said in (
        (tmp_path, "is a folder. Name the experiment file"),
        (tmp_path / "fifo", "is not a regular file"),
        (Path(os.devnull), "is not a regular file"),
    ):
        with pytest.raises(UsageError, match=said):
            load_experiment(path)


def refusal_of(tmp_path, text):
    path = tmp_path / "e.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        load_experiment(path)
    return str(refused.value)


def test_lists_without_end_are_refused(tmp_path):
    seeds = f"seeds = {list(range(100_000))}"
    said = refusal_of(
        tmp_path, EXPERIMENT.replace('"random-holdout"', f'"random-holdout"\n{seeds}')
    )
    assert "line 9, splits #1.seeds: it must be a list of 1,000 at most" in said
    said = refusal_of(tmp_path, EXPERIMENT + "[[models]]\nname = 'ease'\n" * 5_000)
    assert "models: it must be a list of 1,000 at most" in said


def test_of_very_many_faults_the_first_are_shown(tmp_path):
    said = refusal_of(tmp_path, EXPERIMENT + "".join(f"k{at} = 1\n" for at in range(5_000)))
    assert said.count("\n") == 20
    assert "line 18, tune: unknown key 'k0'" in said
    assert said.endswith("4,980 more faults of this kind or another.")


def test_faults_beyond_listing_are_counted(tmp_path):
    said = refusal_of(tmp_path, EXPERIMENT + "".join(f"k{at} = 1\n" for at in range(10_001)))
    assert said.endswith(
        ": 10,001 of its keys and values are not what they should be. Is it the right file?"
    )
