"""Where a value stands in a TOML file."""

import pytest

from recrepro.spec.lines import line_of

TEXT = '''schema = 1
claim = """
[[models]]
name = "no table, but text"
"""

[[datasets]]
name = "one"
synthetic.users = 9

[[datasets]]  # the second
"name" = "two"
columns = { user = "u" }

  [[datasets.features]]
  side = "item"

[[models]]
name = "ease"
  [models.params]
  l2 = 5.0

[[models]]
name = "slim"
search.alpha = { uniform = [
  0.1,
  1.0,
] }

[evaluate]
metrics = ["ndcg@10"]
'''


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("schema",), 1),
        (("claim",), 2),
        (("datasets", 0), 7),
        (("datasets", 0, "name"), 8),
        (("datasets", 0, "synthetic"), 9),
        (("datasets", 0, "synthetic", "users"), 9),
        (("datasets", 1), 11),
        (("datasets", 1, "name"), 12),
        (("datasets", 1, "columns", "user"), 13),
        (("datasets", 1, "features", 0, "side"), 15),
        (("models", 0), 18),
        (("models", 0, "params", "l2"), 21),
        (("models", 1, "name"), 24),
        (("models", 1, "search", "alpha", "uniform", 1), 25),
        (("models", 1, "absent"), 23),
        (("evaluate", "metrics", 0), 31),
        (("evaluate", "candidates"), 30),
        (("tune", "trials"), None),
        ((), None),
    ],
)
def test_the_line_is_that_of_the_value_or_of_what_is_around_it(location, line):
    assert line_of(TEXT, location) == line
