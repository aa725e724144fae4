"""The columns of an interaction file: which of them is the user, the item, the value, the time."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from recrepro.errors import DataError, UsageError

COLUMNS = {
    "user": ("user", "userid", "uid", "visitorid", "reviewerid"),
    "item": ("item", "itemid", "iid", "movieid", "artistid", "productid", "gameid", "asin"),
    "value": ("value", "rating", "overall", "stars", "weight", "count"),
    "time": ("time", "timestamp", "datetime", "date", "unixreviewtime"),
}
"""Our columns, and the names that need no mapping (case, blanks and underscores do not count)."""


def match_columns(header: Sequence[str], columns: Mapping[str, str], where: str) -> dict[str, int]:
    """Find the position of each of our columns in a file's header.

    Parameters
    ----------
    header : sequence of str
        The file's column names; a type after a colon is ignored.
    columns : mapping of str to str
        Our names to the file's, where the usual names do not do. What it names is no candidate
        for anything else.
    where : str
        What error messages call the file.

    Returns
    -------
    dict of str to int
        In the order of `COLUMNS`; value and time are absent if the file has none.

    Raises
    ------
    UsageError
        If `columns` names what is not there or one column twice, if several columns could be
        meant, or if there is no user or no item.
    DataError
        If a column that is needed shares its name with another one.
    """
    names = [name.strip() for name in header]
    found = _named(names, columns, where)
    plain = [_plain(name) for name in names]
    for ours, usual in COLUMNS.items():
        if ours in found:
            continue
        usable = [at for at, name in enumerate(plain) if name in usual]
        free = [at for at in usable if at not in found.values()]
        candidates = list(dict.fromkeys(names[at] for at in free))
        if len(candidates) > 1:
            raise UsageError(
                f"{where}: {'both ' if len(candidates) == 2 else ''}{_listed(candidates)} could "
                f"be the {ours}: say columns = {{ {ours} = {candidates[0]!r} }}, or another one."
            )
        if free:
            found[ours] = _only(names, candidates[0], where)
        elif ours in {"user", "item"}:
            raise _lacking(ours, names, [names[at] for at in usable], where)
    return {ours: found[ours] for ours in COLUMNS if ours in found}


def meaning(name: str, columns: Mapping[str, str]) -> str | None:
    """Say which of our columns a name could stand for, or None; `columns` as in `match_columns`."""
    name = name.strip()
    named = (ours for ours, theirs in columns.items() if theirs == name)
    usual = (ours for ours, names in COLUMNS.items() if _plain(name) in names)
    return next(named, next(usual, None))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.partition(":")[0].lower())


def _named(names: list[str], columns: Mapping[str, str], where: str) -> dict[str, int]:
    """Find what the experiment file names."""
    found: dict[str, int] = {}
    for ours, theirs in columns.items():
        if theirs not in names:
            near = get_close_matches(theirs, names, n=1, cutoff=0.5)
            raise UsageError(
                f"{where} has no column {theirs!r}, which columns = {{ {ours} = ... }} names. "
                f"{f'Did you mean {near[0]!r}? ' if near else ''}Its columns are "
                f"{_listed(names)}."
            )
        at = _only(names, theirs, where)
        for other, taken in found.items():
            if taken == at:
                raise UsageError(
                    f"{where}: 'columns' makes {theirs!r} both the {other} and the {ours}. Name "
                    f"a column of its own for each; there are {_listed(names)}."
                )
        found[ours] = at
    return found


def _only(names: list[str], name: str, where: str) -> int:
    if (count := names.count(name)) > 1:
        raise DataError(
            f"{where} has {count} columns that are called {name!r}. Rename or remove all but one."
        )
    return names.index(name)


def _lacking(ours: str, names: list[str], taken: list[str], where: str) -> UsageError:
    near = [] if taken else get_close_matches(ours, names, n=1, cutoff=0.5)
    used = f", as 'columns' uses {taken[0]!r} for something else" if taken else ""
    return UsageError(
        f"{where} has no column {ours!r}{used}; its columns are {_listed(names)}. "
        f"{f'Did you mean {near[0]!r}? ' if near else ''}Say which one it is with "
        f"columns = {{ {ours} = '...' }}."
    )


def _listed(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def parse_columns(given: Iterable[str], ours: Sequence[str]) -> dict[str, str]:
    """Turn the texts ``user=buyer`` of a command line into a mapping of our names to the file's."""
    columns = {}
    for text in given:
        name, equals, theirs = text.partition("=")
        if not equals or name not in ours or not theirs:
            raise UsageError(
                f"--column {text!r} is not of the form OURS=THEIRS with OURS one of "
                f"{', '.join(ours)}. For example: --column user=buyer"
            )
        columns[name] = theirs
    return columns
