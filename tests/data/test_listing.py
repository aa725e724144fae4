"""What `recrepro ls datasets` shows of the table."""

import io

import pytest
from rich.console import Console

from recrepro.cli.ls import show_names
from recrepro.data.catalogue import DATASETS


def shown(width: int, name: str | None = None) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    show_names(console, "datasets", name)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [100, 160])
def test_every_name_is_there_in_full_once(width):
    first_words = [line.split()[0] for line in shown(width).splitlines() if line.strip()]
    assert [word for word in first_words if word in DATASETS] == sorted(
        DATASETS,
        key=lambda name: [d.family for d in DATASETS.values()].index(DATASETS[name].family),
    )


def test_what_is_not_known_is_not_made_up():
    line = next(line for line in shown(160).splitlines() if "amazon-books-2018 " in line)
    assert line.split() == ["amazon-books-2018", "?", "?", "27,164,983", "rows", "download"]


@pytest.mark.parametrize("name", DATASETS)
def test_all_that_is_known_of_one_is_shown(name):
    entry = DATASETS[name]
    text = "".join(shown(400, name).split())
    for known in (entry.homepage, entry.licence, entry.citation, entry.content or "nochecksum"):
        assert "".join(known.split()) in text
    for part, source in entry.sources.items():
        assert part in text
        for known in (*source.local, source.url, source.checksum or "", source.member):
            assert known in text
    unknown = sum(bool(s.url) and s.checksum is None for s in entry.sources.values())
    assert text.count("nochecksumknown:whatcameischecked") == unknown
