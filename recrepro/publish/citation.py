"""How a snapshot is cited: BibTeX, CITATION.cff, and Croissant metadata (JSON-LD)."""

import json
import re
from dataclasses import dataclass
from typing import Any

from recrepro.tables.data import COLUMNS
from recrepro.tables.formats import FORMATS
from recrepro.tables.latex import escape
from recrepro.text.clean import one_line

MEDIA_TYPES = {
    "toml": "application/toml",
    "parquet": "application/vnd.apache.parquet",
    **{extension: form.media_type for extension, form in FORMATS.items()},
}
"""MIME types of the files in a snapshot, by extension."""

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "recordSet": "cr:recordSet",
    "source": "cr:source",
}
"""The terms of Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html)."""

_NUMBERS = ("mean", "std", "low", "high", "p_best", "p_reference")


@dataclass(frozen=True)
class Citation:
    """What is said of a snapshot, beside what is in it.

    Parameters
    ----------
    name : str
        Of the experiment.
    claim : str
        What it is to show.
    authors : tuple of str
        As BibTeX takes them, such as ``"Curie, Marie"``; none is anonymous.
    url : str or None
        Where the snapshot is published.
    date : str
        Day of the last result, ``2026-11-25``.
    recrepro : str
        Version that made the tables.
    sha256 : str
        The content hash.
    """

    name: str
    claim: str
    authors: tuple[str, ...]
    url: str | None
    date: str
    recrepro: str
    sha256: str

    @property
    def title(self) -> str:
        """One line."""
        return one_line(f"Leaderboard of {self.name}: {self.claim}")

    @property
    def tool(self) -> str:
        """What made it."""
        return f"recrepro {self.recrepro}"


def bibtex(about: Citation) -> str:
    """Write a BibTeX entry that names the content hash."""
    year, month, _ = about.date.split("-")
    fields = {
        "title": "{" + _bib(about.title) + "}",
        "author": " and ".join(map(_bib, about.authors)) or "Anonymous",
        "year": year,
        "month": str(int(month)),
        "howpublished": _bib(f"{about.tool}, snapshot of {about.date}"),
        "note": f"Content hash: sha256:{about.sha256}",
    }
    if about.url is not None:
        fields["url"] = about.url
    key = re.sub(r"[^a-z0-9]+", "-", about.name.lower()).strip("-") or "experiment"
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{recrepro-{key}-{about.sha256[:8]},", *lines, "}", ""])


def _bib(text: str) -> str:
    # BibTeX counts braces even after a backslash.
    escaped = escape(text)
    return escaped.replace(r"\{", r"\textbraceleft{}").replace(r"\}", r"\textbraceright{}")


def citation_file(about: Citation) -> str:
    """Write a CITATION.cff (https://citation-file-format.github.io)."""
    content: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use these results, please cite this snapshot.",
        "type": "dataset",
        "title": about.title,
        "authors": [_person(one_line(author)) for author in about.authors or ("Anonymous",)],
        "date-released": about.date,
        "version": about.sha256[:12],
        "identifiers": [
            {"type": "other", "value": f"sha256:{about.sha256}", "description": "Content hash"}
        ],
        "keywords": ["recommender systems", "reproducibility", "leaderboard"],
    }
    if about.url is not None:
        content["url"] = about.url
    # Every line of JSON is YAML.
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items())
    return "\n".join([*lines, ""])


def _person(author: str) -> dict[str, str]:
    family, comma, given = author.partition(",")
    if comma and given.strip():
        return {"family-names": family.strip(), "given-names": given.strip()}
    return {"name": author}


def croissant(about: Citation, sums: dict[str, str]) -> str:
    """Write Croissant metadata: what files there are, and the columns of the leaderboard.

    Parameters
    ----------
    about : Citation
        What is said of the snapshot.
    sums : dict of str to str
        SHA-256 of each file, by its path in the snapshot.
    """
    content: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": about.name,
        "description": about.title,
        "creator": [{"@type": "Person", "name": one_line(a)} for a in about.authors],
        "datePublished": about.date,
        "version": about.sha256[:12],
        "identifier": f"sha256:{about.sha256}",
        "citeAs": bibtex(about),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path,
                "contentUrl": path,
                "encodingFormat": MEDIA_TYPES[path.rpartition(".")[2]],
                "sha256": digest,
            }
            for path, digest in sorted(sums.items())
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "leaderboard",
                "name": "leaderboard",
                "description": "One line for each model and metric.",
                "field": [_field(column) for column in COLUMNS],
            }
        ],
    }
    if about.url is not None:
        content["url"] = about.url
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _field(column: str) -> dict[str, Any]:
    kind = "sc:Float" if column in _NUMBERS else "sc:Text"
    return {
        "@type": "cr:Field",
        "@id": f"leaderboard/{column}",
        "name": column,
        "dataType": "sc:Integer" if column in ("repeats", "reopened") else kind,
        "source": {"fileObject": {"@id": "leaderboard.csv"}, "extract": {"column": column}},
    }
