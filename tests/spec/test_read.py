"""Files that are not TOML: the line, and what to write there."""

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
