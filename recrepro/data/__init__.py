"""Where interactions come from: named data sets, files in many formats, a generator.

The generator is `recrepro.data.synthetic.synthetic`; `recrepro.data.catalogue` has the named data
sets and their downloads.
"""

from recrepro.data.catalogue import DATASETS, NamedDataset, Source
from recrepro.data.catalogue.load import load_named
from recrepro.data.dataset import Dataset, PublishedSplit, content_checksum
from recrepro.data.formats.parse import FORMATS
from recrepro.data.formats.read import read_frame, read_interactions, read_negatives, read_published

__all__ = [
    "DATASETS",
    "FORMATS",
    "Dataset",
    "NamedDataset",
    "PublishedSplit",
    "Source",
    "content_checksum",
    "load_named",
    "read_frame",
    "read_interactions",
    "read_negatives",
    "read_published",
]
