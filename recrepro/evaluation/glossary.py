"""The page "What exactly does each metric mean?", written from the definitions themselves."""

import re

import numpy as np

from recrepro.evaluation.definitions import DEFINITIONS, KINDS, SYMBOLS, Definition, parse_metric
from recrepro.evaluation.metrics import Hits, Ranking

INTRODUCTION = """\
# What exactly does each metric mean?

<!-- Written by `recrepro ls metrics --format md > docs/metrics.md`; a test compares. -->

The same list of recommendations scores an NDCG@10 of 0.22 to 0.62 in today's libraries, because each has a formula of
its own under that name. Here a name is one formula. Where others compute something else under the name, it is a
variant in brackets: `ndcg@10` and `ndcg[lenskit]@10`. Write the name as it stands here into a paper, and a reader can
compute the number again.

`recrepro ls metrics NAME` shows one of them. For what is ranked against what, and for ties, see
[splits and evaluation](splits-and-evaluation.md#ranking).

## Two users, every formula

Both users have hits at ranks 2 and 5 of a list of ten. User A has 3 relevant items, user B has 30. 500 items were
ranked; the relevant ones that are not in the list come last.
"""


def to_markdown() -> str:
    """Write the page."""
    lines = [INTRODUCTION, "| metric | A | B | same formula in |", "| --- | ---: | ---: | --- |"]
    users = _golden_user(3), _golden_user(30)
    for definition in DEFINITIONS.values():
        if definition.kind == "accuracy":
            name = definition.pattern.replace("@k", "@10")
            a, b = (float(np.mean(parse_metric(name)(user))) for user in users)
            lines.append(f"| `{name}` | {a:.4f} | {b:.4f} | {definition.same_in} |")
    lines += [
        "",
        "## Symbols",
        "",
        "; ".join(_code(part) for part in SYMBOLS.split("; ")) + ".",
        "",
    ]
    for kind, title in KINDS.items():
        lines += [f"## {title}", ""]
        for definition in DEFINITIONS.values():
            if definition.kind == kind:
                lines += _entry(definition)
    return "\n".join(lines).rstrip() + "\n"


def _golden_user(n_relevant: int) -> Ranking:
    """Return the ranking of a user with hits at ranks 2 and 5, and the others at the very end."""
    last = range(500 - (n_relevant - 2) + 1, 501)
    ranks = np.array([2, 5, *last])
    hits = Hits(
        np.zeros(n_relevant, np.int64), ranks, np.arange(1, n_relevant + 1), np.ones(n_relevant)
    )
    return Ranking(hits, np.array([n_relevant]), np.array([500]), np.ones(n_relevant))


def _entry(definition: Definition) -> list[str]:
    same = f" Same in: {definition.same_in}." if definition.same_in else ""
    return [
        f"### `{definition.pattern}`",
        "",
        f"`{definition.formula}`.{same}",
        "",
        _markdown(definition.explanation),
        "",
    ]


def _markdown(docstring: str) -> str:
    """Turn a docstring's mathematics into that of Markdown."""

    def block(match: "re.Match[str]") -> str:
        formula = " ".join(line.strip() for line in match[1].strip().splitlines())
        return f"$$ {formula} $$\n"

    return re.sub(r"\.\. math:: ((?:.+\n?)+?)(?=\n|\Z)", block, docstring).strip()


def _code(part: str) -> str:
    symbol, colon, meaning = part.partition(": ")
    return f"`{symbol}`: {meaning}" if colon else part
