"""Every named data set; `recrepro.data.catalogue.load_named` reads them.

A new one is an entry in one of the tables and nothing else: a log in `recrepro.data.logs`, or with
its family in `movielens` or `amazon`; a published split in `published_table`. Its `content` is
what `recrepro.data.dataset.content_checksum` returns for a copy known to be right.
"""

from recrepro.data.amazon import AMAZON
from recrepro.data.entry import NamedDataset, Source
from recrepro.data.logs import LOGS
from recrepro.data.movielens import MOVIELENS
from recrepro.data.published_table import PUBLISHED

__all__ = ["DATASETS", "NamedDataset", "Source"]

DATASETS: dict[str, NamedDataset] = {**MOVIELENS, **LOGS, **AMAZON, **PUBLISHED}
"""Every named data set, by the name that experiment files use."""
