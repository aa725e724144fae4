"""The documentation lists every format of the tables."""

import re
from pathlib import Path

import click

from recrepro.cli.leaderboard import leaderboard
from recrepro.tables.formats import FORMATS

ROOT = Path(__file__).parents[2]


def test_the_command_and_the_documentation_list_every_format():
    wanted = {"text", *FORMATS}
    choice = next(option.type for option in leaderboard.params if option.name == "form")
    assert isinstance(choice, click.Choice)
    assert set(choice.choices) == wanted
    page = (ROOT / "docs/leaderboards.md").read_text(encoding="utf-8")
    table = page.partition("| format |")[2].partition("\n\n")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} == wanted
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = re.search(r"recrepro leaderboard FILE.toml +# also as --format (.*)", readme)
    assert set(re.split(r", | or ", line[1])) == set(FORMATS)
