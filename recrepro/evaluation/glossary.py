"""The page "What exactly does each metric mean?", written from the definitions themselves."""

import re
from importlib.resources import files

import numpy as np

from recrepro.evaluation.definitions import DEFINITIONS, KINDS, SYMBOLS, parse_metric
from recrepro.evaluation.metrics import Hits, Ranking
from recrepro.text.templates import render


def to_markdown() -> str:
    """Write the page."""
    users = _golden_user(3), _golden_user(30)
    accuracy = []
    for definition in DEFINITIONS.values():
        if definition.kind == "accuracy":
            name = definition.pattern.replace("@k", "@10")
            values = [float(np.mean(parse_metric(name)(user))) for user in users]
            accuracy.append((name, *values, definition.same_in))
    page = render(
        files("recrepro.evaluation") / "metrics.md.j2",
        accuracy=accuracy,
        symbols=SYMBOLS.split("; "),
        kinds=KINDS,
        definitions=DEFINITIONS.values(),
        markdown=_markdown,
    )
    return page.rstrip() + "\n"


def _golden_user(n_relevant: int) -> Ranking:
    """Return the ranking of a user with hits at ranks 2 and 5, and the others at the very end."""
    last = range(500 - (n_relevant - 2) + 1, 501)
    ranks = np.array([2, 5, *last])
    hits = Hits(
        np.zeros(n_relevant, np.int64), ranks, np.arange(1, n_relevant + 1), np.ones(n_relevant)
    )
    return Ranking(hits, np.array([n_relevant]), np.array([500]), np.ones(n_relevant))


def _markdown(docstring: str) -> str:
    """Turn a docstring's mathematics into that of Markdown."""

    def block(match: "re.Match[str]") -> str:
        formula = " ".join(line.strip() for line in match[1].strip().splitlines())
        return f"$$ {formula} $$\n"

    return re.sub(r"\.\. math:: ((?:.+\n?)+?)(?=\n|\Z)", block, docstring).strip()
