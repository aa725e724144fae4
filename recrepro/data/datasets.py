"""Every named data set; `recrepro.data.catalogue.load_named` reads them.

A new one is an entry in one of the tables and nothing else: a log in `recrepro.data.logs`, or with
its family in `movielens` or `amazon`; a published split in `published_table`. Its `content` is
what `recrepro.data.dataset.content_checksum` returns for a copy known to be right. Features are
listed in `side_information`.
"""

from dataclasses import replace

from recrepro.data.amazon import AMAZON
from recrepro.data.entry import NamedDataset, Source
from recrepro.data.logs import LOGS
from recrepro.data.movielens import MOVIELENS
from recrepro.data.published_table import PUBLISHED
from recrepro.data.side_information import SIDE_INFORMATION

__all__ = ["DATASETS", "NamedDataset", "Source"]

DATASETS: dict[str, NamedDataset] = {
    name: replace(entry, features=SIDE_INFORMATION.get(name, {}))
    for name, entry in {**MOVIELENS, **LOGS, **AMAZON, **PUBLISHED}.items()
}
"""Every named data set, by the name that experiment files use."""
