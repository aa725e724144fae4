"""What the tables of named data sets hold about each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from recrepro.data.formats.side import Layout
from recrepro.features import Side


@dataclass(frozen=True)
class Source:
    """One part of a data set: where it is published, and where a local copy may lie.

    Parameters
    ----------
    local : tuple of str
        Where it may lie below a data folder; each also with ``.gz`` or ``.bz2`` at its end. A
        ``*`` stands for anything: all files that match belong to the part.
    url : str
        Where it is published; empty if the user has to bring the file.
    checksum : str or None
        ``sha256:`` or ``md5:`` and the checksum of what the URL gives; None if nobody knows it.
    member : str
        The file inside the archive at the URL; empty if the URL gives the file itself.
    limit_mb : int
        Largest download that is accepted, in MB; a tenth of what an archive may unpack to.
    format : str
        Its format, where it is not that of the data set or its ending tells another.
    columns : mapping of str to str
        As in `read_frame`.
    archives : mapping of str to str
        Archives that may lie below a data folder, and what to read from each (``*`` as above);
        that of the URL belongs to them anyway.
    """

    local: tuple[str, ...]
    url: str = ""
    checksum: str | None = None
    member: str = ""
    limit_mb: int = 50
    format: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    archives: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FeatureSource:
    """One feature set of a data set.

    Parameters
    ----------
    side : {"user", "item"}
        Of whom.
    source : Source
        Where it is.
    layout : Layout
        How its file is laid out.
    links : bool
        Whether its columns are users or items themselves.
    content : str or None
        Its fingerprint (`recrepro.features.FeatureSet`), before it is aligned.
    """

    side: Side
    source: Source
    layout: Layout
    links: bool = False
    content: str | None = None


@dataclass(frozen=True)
class NamedDataset:
    """A named data set.

    Parameters
    ----------
    title : str
        Full name.
    homepage, licence, citation : str
        Where to get it by hand; on what terms; what to cite.
    users, items, interactions : int or None
        What it holds once repeated pairs are one; None if not known. Checked each time it is read.
    format : str
        A name of `recrepro.data.formats.parse.FORMATS`, for files whose ending does not tell it.
    sources : mapping of str to Source
        ``interactions`` alone; or ``train`` and ``test`` and, where they are published,
        ``validation`` and ``negatives``.
    rows : int or None
        Rows of all files but negatives, before repeated pairs become one; checked if known.
    content : str or None
        `content_checksum` of the right data; None where nobody has computed it yet.
    family : str
        The heading that it is listed under.
    features : mapping of str to FeatureSource
        Its side information, by name.
    numbered_items : int or None
        Where items are numbered from 0 and some are in no interaction: how many there are. These,
        too, are candidates.
    """

    title: str
    homepage: str
    licence: str
    citation: str
    users: int | None
    items: int | None
    interactions: int | None
    format: str
    sources: Mapping[str, Source]
    rows: int | None = None
    content: str | None = None
    family: str = ""
    features: Mapping[str, FeatureSource] = field(default_factory=dict)
    numbered_items: int | None = None
