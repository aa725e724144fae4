"""The catalogue: what its files say of every data set, and what is said of a faulty file."""

from collections.abc import Mapping
from importlib.resources import files

import pytest

from recrepro.data import catalogue
from recrepro.data.catalogue import DATASETS, FAMILIES, Catalogue, find_entry
from recrepro.errors import DataError, UnknownName

TOY = """
[defaults]
family = "Toys"
citation = "toy2026: Toy, 2026"
format = "csv"

[toy]
title = "Toy"
homepage = "https://example.invalid/toy"
licence = "CC0"
users = 2

[toy.sources.interactions]
local = ["toy/log.csv", "toy/log_*.csv"]
url = "https://example.invalid/toy.zip"
member = "log.csv"

[toy.features.genres]
side = "item"
columns = { take = [2, "genre"] }

[toy.features.genres.source]
local = ["toy/items.csv"]
"""
SPLIT = """
[toy-split]
title = "Toy, split"
homepage = "https://example.invalid/split"
licence_of = "toy"
features_of = "toy"
family = "Splits"
citation = "split2026: Split, 2026"
format = "tsv"
sources.train.local = ["toy/train.tsv"]
sources.test.local = ["toy/test.tsv"]
"""


@pytest.fixture
def read(tmp_path):
    """Write files into a folder, and return the catalogue of them."""

    def read(**contents: str) -> Catalogue:
        for family, content in contents.items():
            (tmp_path / f"{family}.toml").write_text(content, encoding="utf-8")
        return Catalogue(tmp_path, tuple(contents))

    return read


def test_a_table_is_a_data_set(read):
    datasets = read(splits=SPLIT, toys=TOY)
    assert isinstance(datasets, Mapping)
    assert list(datasets) == ["toy-split", "toy"]
    toy, split = datasets["toy"], datasets["toy-split"]
    assert (toy.family, toy.citation, toy.format) == ("Toys", "toy2026: Toy, 2026", "csv")
    assert (toy.users, toy.items) == (2, None)
    log = toy.sources["interactions"]
    assert log.local == ("toy/log.csv", "toy/log_*.csv")
    assert (log.url, log.member) == ("https://example.invalid/toy.zip", "log.csv")
    assert (log.checksum, log.limit_mb) == (None, 50)
    assert toy.features["genres"].layout.take == (2, "genre")
    assert list(split.sources) == ["train", "test"]
    assert split.licence == "CC0"
    assert split.features == toy.features
    assert split.citation == "split2026: Split, 2026"


def test_nothing_is_read_before_it_is_needed(read):
    datasets = read(toys=TOY + "[faulty]\ntitle = 1\n")
    assert datasets["toy"].title == "Toy"
    assert datasets["toy"] is datasets["toy"]
    with pytest.raises(DataError, match=r"toys\.toml, faulty"):
        datasets["faulty"]
    assert len(Catalogue(files(catalogue.__name__), ())) == 0


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("users = 2", "user = 2", r"toys\.toml, toy: unknown key 'user'\. Did you mean 'users'"),
        ("users = 2", "users = 0", r"toys\.toml, toy, users: .*greater than 0, but got 0"),
        ("users = 2", 'users = "2"', r"toys\.toml, toy, users: .*valid integer, but got '2'"),
        ("users = 2", "users = 2024-01-01", r"toy, users: .*valid integer, but got '2024-01-01'"),
        ('licence = "CC0"', "", r"toys\.toml, toy: the key 'licence' is missing"),
        ('"csv"', '"cvs"', r"toy, format: there is no format 'cvs'; the formats are csv, tsv"),
        (
            '"toy/log.csv"',
            '"/log.csv"',
            r"local #1: '/log\.csv' must be a file below a data folder",
        ),
        ('"toy/log.csv"', '"../log.csv"', r"local #1: .* without '\.\.'"),
        ("https://example.invalid/toy.zip", "http://e.org/a", r"url: .*\^\(https:.*got 'http:"),
        ("url = ", "# ", r"'checksum' and 'member' describe a download: give its"),
        ('member = "log.csv"', 'checksum = "sha256:00"', r"checksum: .*sha256.*got 'sha256:00'"),
        ("sources.interactions", "sources.train", r"'sources' has train; it must be 'interac"),
        ('"item"', '"items"', r"features\.genres\.side: .*'user' or 'item', but got 'items'"),
        ("columns = ", "column = ", r"unknown key 'column'\. Did you mean 'columns'"),
        ("take = ", "takes = ", r"genres\.columns: unknown key 'takes'\. Did you mean 'take'"),
        ("columns = ", "lists = {}\ncolumns = ", r"exactly one of 'columns', 'flags', 'pairs' and"),
        ("columns = { take", "# ", r"genres: exactly one of 'columns', 'flags', 'pairs' and"),
        ("[defaults]\n", "", r"toys\.toml: 'family' is in no table\. Put it below \[defaults\]"),
        ("users = 2", "users == 2", r"toys\.toml is not valid TOML: .*line 11"),
        ('licence = "CC0"', 'licence_of = "tor"', r"licence_of = 'tor' must name a data set that"),
        ("users = 2", 'licence_of = "toy"', r"and stands in place of 'licence'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(read, before, after, message):
    assert before in TOY
    with pytest.raises(DataError, match=message):
        read(toys=TOY.replace(before, after, 1))["toy"]


def test_a_name_is_given_once(read):
    with pytest.raises(DataError, match=r"b\.toml: the data set 'toy' is in a\.toml, too"):
        len(read(a=TOY, b=TOY))


def test_an_unknown_name():
    with pytest.raises(UnknownName, match="'movielens-100k'"):
        find_entry("movielens100k")


def test_every_file_is_listed():
    names = [f.name for f in files(catalogue.__name__).iterdir() if f.name.endswith(".toml")]
    assert sorted(names) == sorted(f"{family}.toml" for family in FAMILIES)


@pytest.mark.parametrize("name", DATASETS)
def test_something_tells_the_right_file_from_an_error_page(name):
    entry = DATASETS[name]
    checked = all(source.checksum for source in entry.sources.values())
    counts = (entry.users, entry.items, entry.interactions, entry.rows)
    fetched_blindly = any(source.url for source in entry.sources.values()) and not checked
    blind = name.endswith("-2018") and entry.rows is None
    blind |= name in {f"amazon-{n}-2014" for n in ("cds", "electronics", "movies")}
    assert not fetched_blindly or entry.content or any(counts) or blind


def test_no_two_data_sets_have_the_same_content():
    contents = [entry.content for entry in DATASETS.values() if entry.content]
    assert len(contents) == len(set(contents))
