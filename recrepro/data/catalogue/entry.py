"""The schema of the catalogue: what is known of a named data set, its files and its features."""

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from recrepro.data.formats.parse import FORMATS
from recrepro.data.formats.side import Columns, FeatureLayout, Flags, Lists, Pairs
from recrepro.features import Side
from recrepro.spec.experiment import TomlTable

_PARTS = ("train", "test", "validation", "negatives")


def _known_format(name: str) -> str:
    if name not in FORMATS:
        raise ValueError(f"there is no format {name!r}; the formats are {', '.join(FORMATS)}")
    return name


def _relative(path: str) -> str:
    parts = PurePosixPath(path)
    if not parts.name or parts.is_absolute() or ".." in parts.parts:
        raise ValueError(f"{path!r} must be a file below a data folder, without '..'")
    return path


Text = Annotated[str, Field(min_length=1)]
Format = Annotated[str, AfterValidator(_known_format)]
Local = Annotated[str, AfterValidator(_relative)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Source(TomlTable):
    """One part of a data set: its address, and the names of local copies.

    Parameters
    ----------
    local : tuple of str
        File names below a data folder, in the order of preference; each is also looked for with
        ``.gz`` or ``.bz2`` at its end. With a ``*`` in the name, all files that match belong to
        the part.
    url : str
        Address of the download; empty if users have to bring the file.
    checksum : str or None
        ``sha256:`` or ``md5:`` and the checksum of the download; None if it is not known.
    member : str
        The file to read from the archive at `url`; empty if `url` gives the file itself.
    limit_mb : int
        Largest accepted download in MB. Files in an archive may have ten times that size.
    format : str
        Format of this part, if neither the file's ending nor the format of the data set tells it.
    columns : dict of str to str
        As in `read_frame`.
    archives : dict of str to str
        Names of further archives that users may bring, each with the file to read from it; both
        may contain ``*``.
    """

    local: Annotated[tuple[Local, ...], Field(min_length=1)]
    url: Annotated[str, Field(pattern=r"^(https://.+)?$")] = ""
    checksum: Annotated[str | None, Field(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")] = (
        None
    )
    member: str = ""
    limit_mb: PositiveInt = 50
    format: Format = ""
    columns: dict[str, str] = Field(default_factory=dict)
    archives: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _nothing_without_url(self) -> "Source":
        if not self.url and (self.checksum or self.member):
            raise ValueError("'checksum' and 'member' describe a download: give its 'url', too")
        return self


class FeatureSource(TomlTable):
    """One feature set of a data set.

    Parameters
    ----------
    side : {"user", "item"}
        The entities that the features describe.
    source : Source
        The file with the features.
    columns, flags, pairs, lists : Columns, Flags, Pairs, Lists or None
        Layout of the file; exactly one of them is given.
    links : bool
        True if the features are users or items themselves, such as friends or citations.
    content : str or None
        Fingerprint (`recrepro.features.FeatureSet`) before alignment; None if it is not known.
    """

    side: Side
    source: Source
    columns: Columns | None = None
    flags: Flags | None = None
    pairs: Pairs | None = None
    lists: Lists | None = None
    links: bool = False
    content: Digest | None = None

    @model_validator(mode="after")
    def _one_layout(self) -> "FeatureSource":
        if len(self._layouts) != 1:
            raise ValueError("exactly one of 'columns', 'flags', 'pairs' and 'lists' must be given")
        return self

    @property
    def _layouts(self) -> list[FeatureLayout]:
        given = (self.columns, self.flags, self.pairs, self.lists)
        return [layout for layout in given if layout is not None]

    @property
    def layout(self) -> FeatureLayout:
        """Layout of the file."""
        return self._layouts[0]


class NamedDataset(TomlTable):
    """A named data set.

    Parameters
    ----------
    title : str
        Full name.
    homepage : str
        Page of the publisher.
    licence : str
        Terms of use.
    citation : str
        The paper to cite.
    family : str
        Heading in the list of data sets.
    format : str
        A name of `recrepro.data.formats.parse.FORMATS`, for files whose ending does not tell it.
    sources : dict of str to Source
        ``interactions`` alone; or ``train`` and ``test`` and, where they are published,
        ``validation`` and ``negatives``.
    users, items, interactions : int or None
        Counts after merging repeated pairs, checked at each load; None if not known.
    rows : int or None
        Rows of all files except negatives, before repeated pairs are merged; checked if known.
    content : str or None
        `content_checksum` of a copy known to be right; None if nobody has computed it yet.
    features : dict of str to FeatureSource
        Side information by name.
    numbered_items : int or None
        Number of all items, for data sets that number them from 0 and have some without any
        interaction. All of them are candidates.
    """

    title: Text
    homepage: Text
    licence: Text
    citation: Text
    family: Text
    format: Format
    sources: dict[str, Source]
    users: PositiveInt | None = None
    items: PositiveInt | None = None
    interactions: PositiveInt | None = None
    rows: PositiveInt | None = None
    content: Digest | None = None
    features: dict[str, FeatureSource] = Field(default_factory=dict)
    numbered_items: PositiveInt | None = None

    @model_validator(mode="after")
    def _known_parts(self) -> "NamedDataset":
        names = set(self.sources)
        if names != {"interactions"} and not {"train", "test"} <= names <= set(_PARTS):
            raise ValueError(
                f"'sources' has {', '.join(self.sources) or 'nothing'}; it must be 'interactions' "
                f"alone, or 'train' and 'test', with 'validation' and 'negatives' if published"
            )
        return self
